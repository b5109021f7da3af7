"""`python -m chaos`: break every part of a platform at random, and look whether anything was lost."""

import argparse
import json
import random
import signal
import sys
import time
from pathlib import Path

from fountain_cli.stack import Stack, StackError
from fountain_cli.stack.layout import repository
from rich.console import Console

from chaos import report
from chaos.run import Outcome, perform
from chaos.stacks import chosen, keep_logs, own_stack

_VIOLATED, _NOT_RUN, _INTERRUPTED = 1, 2, 130


def main() -> int:
    """Run; 0 if nothing was violated, 1 if something was, 2 if it could not be run."""
    options = _options()
    console = Console(width=140, stderr=options.json)
    began = time.monotonic()

    def say(line: str) -> None:
        seconds = int(time.monotonic() - began)
        console.print(f"{seconds // 60:3d}:{seconds % 60:02d}  {line}", highlight=False, markup=False)

    # What `kill` and `timeout` send ends a run as Ctrl-C does: with everything removed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        runtime = chosen(options.runtime)
        again = f"make chaos seed={options.seed} minutes={options.minutes:g} runtime={runtime}"
        console.print(f"Seed {options.seed}. The same again: {again}", highlight=False)
        with own_stack(runtime) as stack:
            outcome = perform(stack, options.seed, options.minutes * 60, say)
            logs = _kept(stack, outcome)
    except StackError as error:
        console.print(str(error), markup=False)
        return _NOT_RUN
    except KeyboardInterrupt:
        console.print("Interrupted; the platform of this run is removed.")
        return _INTERRUPTED
    if options.json:
        sys.stdout.write(json.dumps({**report.document(outcome), "again": again}, indent=2) + "\n")
    report.show(outcome, console)
    if logs is None:
        console.print(f"[green]Nothing was violated.[/] Seed {options.seed}, {runtime}.", highlight=False)
        return 0
    console.print(f"{len(outcome.violations)} violations. Logs: {logs}\nThe same again: {again}", style="red")
    return _VIOLATED


def _kept(stack: Stack, outcome: Outcome) -> Path | None:
    """Keep the logs and the report of a run that has violated something."""
    if not outcome.violations:
        return None
    name = f"{outcome.runtime}-{outcome.seed}-{time.strftime('%H%M%S')}"
    folder = repository() / ".fountain" / "chaos" / name
    keep_logs(stack, folder)
    (folder / "report.json").write_text(json.dumps(report.document(outcome), indent=2))
    return folder


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument(
        "--seed",
        type=int,
        default=random.randrange(10**6),
        help="the same draws the same (default: another each time)",
    )
    parser.add_argument("--minutes", type=float, default=10, help="how long parts are broken (default 10)")
    parser.add_argument("--runtime", choices=("local", "docker"), help="default: as `make up` chooses")
    parser.add_argument("--json", action="store_true", help="print the report as JSON on stdout")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
