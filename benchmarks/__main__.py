"""`python -m benchmarks`: measure every budget, print the table, write `benchmarks/latest.json`.

With `--only`, the other rows of that file stay as they are. What is measured runs in the fastest Python of
this machine (see `benchmarks.interpreter`), or with `--here` in the one that this was called with.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from fountain_cli.exits import CommandError
from fountain_cli.stack import StackError
from httpx2 import HTTPError
from rich.console import Console

from benchmarks import interpreter, picture, report
from benchmarks.measure import Result
from benchmarks.processes import Broken, NotRun
from benchmarks.rows import Row, Run, all_rows


def main() -> int:
    """Run the rows asked for.

    Returns 0 when every floor was met, 1 when one was missed or a promise broken, 2 when one was not run.
    """
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds a row (default 5)")
    parser.add_argument("--seconds", type=int, default=3, help="length of a round of load (default 3)")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--document", action="store_true", help="write them into docs/performance.md too")
    parser.add_argument("--here", action="store_true", help="with this Python, and not the fastest")
    options = parser.parse_args()
    rows = [row for row in all_rows() if options.only in row.name]
    if not rows:
        parser.error(f"there is no row {options.only!r}: {', '.join(row.name for row in all_rows())}")
    if options.only and options.document:
        parser.error("what is written into the document is measured in one run: leave --only out")
    console = Console(width=160)
    if not options.here:
        _go_on_in_the_fastest(console)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="fountain-bench-") as folder:
        run = Run(Path(folder), options.rounds, options.seconds)
        with run.closing:
            for row in rows:
                console.print(f"measuring {row.name} ...")
                for result in _measured(row, run):
                    console.print(f"  {report.line(result)}")
                    results.append(result)
    report.show(results, console)
    latest = Path(__file__).with_name("latest.json")
    budgets = [budget for row in all_rows() for budget in row.budgets]
    written = report.joined(results, latest, budgets) if options.only else results
    report.write(written, latest)
    if options.document:
        docs = Path(__file__).parents[1] / "docs"
        today = datetime.now(UTC).date().isoformat()
        picture.document(written, docs / "performance.md", docs / "images" / "performance.svg", today)
    verdicts = {result.ok for result in results}
    return 1 if False in verdicts else 2 if None in verdicts else 0


def _go_on_in_the_fastest(console: Console) -> None:
    """Begin anew in the fastest Python of this machine, if it is another one; then this does not return."""
    seconds = interpreter.measure()
    python = interpreter.fastest(seconds, sys.executable)
    if python == sys.executable:
        return
    share = seconds.get(sys.executable, float("inf")) / seconds[python]
    console.print(
        f"Measuring with {python}: for the same work, {sys.executable} takes {share:.1f} times as long."
    )
    try:
        chosen = str(interpreter.environment(python))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()
        why = said.splitlines()[-1] if said else error
        console.print(f"There is no environment to be made of it, so it is measured with this one: {why}")
        return
    os.execv(chosen, [chosen, "-m", "benchmarks", "--here", *sys.argv[1:]])


def _measured(row: Row, run: Run) -> Iterator[Result]:
    measured: set[str] = set()
    try:
        for result in row.measure(run):
            measured.add(result.budget.name)
            yield result
    except Broken as loss:
        yield from _unmeasured(row, measured, str(loss), broken=True)
    except (NotRun, StackError, CommandError, HTTPError, OSError, subprocess.TimeoutExpired) as reason:
        yield from _unmeasured(row, measured, str(reason))
    except Exception as fault:  # noqa: BLE001 - what the other rows measured is not to be lost by it
        traceback.print_exc()
        yield from _unmeasured(row, measured, f"{type(fault).__name__}: {fault}")


def _unmeasured(row: Row, measured: set[str], why: str, *, broken: bool = False) -> Iterator[Result]:
    for budget in row.budgets:
        if budget.name not in measured:
            yield Result(budget, None, row.peer, note=why, broken=broken)


if __name__ == "__main__":
    raise SystemExit(main())
