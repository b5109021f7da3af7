"""`python -m benchmarks.profiling read`: where the time of a hot path goes, by py-spy.

Starts a platform of its own, loads one operation as its row does, and samples the process that serves it.
Shares are of the samples in which a thread held the interpreter, which is what one process is short of; what
runs in C without it, such as a commit, is seen with `--outside`, and then some waiting as well.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fountain_cli.stack.supervisor import Supervisor, socket_path

from benchmarks.processes import NotRun
from benchmarks.report import machine
from benchmarks.rows import Run
from benchmarks.wrk import load

_WARM_UP_SECONDS = 2.0
_EVENT = {"type": "bench.made", "subject": "bench", "data": {"text": "x" * 120}}


@dataclass(frozen=True)
class HotPath:
    """What is loaded, and how: as the row of the same operation."""

    service: str
    path: str
    connections: int
    body: str | None = None
    """What is posted; None for a GET."""


HOT_PATHS = {
    "read": HotPath("secrets-manager", "/secrets/example-consumer", 64),
    "lookup": HotPath("gateway-lookup", "/lookup/example-consumer", 16),
    "publish": HotPath("notification", "/notifications", 32, json.dumps(_EVENT)),
}


@dataclass(frozen=True)
class Profile:
    """How many samples there were, and in how many a function was innermost, or anywhere."""

    samples: int
    own: Counter[str]
    within: Counter[str]


def summed(raw: str) -> Profile:
    """Add up py-spy's raw format: a line a stack, outermost frame first, and how often it was seen."""
    own, within = Counter[str](), Counter[str]()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        if not stack or not count.isdecimal():
            continue
        frames, seen = stack.split(";"), int(count)
        own[frames[-1]] += seen
        # Who calls itself was there once.
        within.update(dict.fromkeys(frames, seen))
    return Profile(own.total(), own, within)


def table(counted: Counter[str], samples: int, top: int, heading: str) -> list[str]:
    """Return the largest entries as a table in Markdown."""
    largest = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:top]
    rows = [f"| {seen / samples:.1%} | `{frame}` |" for frame, seen in largest]
    return [f"| {heading} | function |", "|---|---|", *rows]


def profile(run: Run, hot: HotPath, *, outside: bool = False) -> tuple[Profile, float]:
    """Load an operation and sample its service for `run.seconds`; with it, requests a second meanwhile."""
    url, headers = run.stack.address(hot.service) + hot.path, run.bearer()
    pid = Supervisor(socket_path(run.stack.state.run)).processes()[hot.service]["pid"]
    raw = run.folder / "profile.raw"
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid), "--format", "raw"]
    command += ["--function", "--rate", "100", "--duration", f"{run.seconds:.0f}", "--output", str(raw)]
    command += [] if outside else ["--gil"]
    method = "GET" if hot.body is None else "POST"
    headers["Content-Type"] = "application/json"
    loaded = partial(load, url, connections=hot.connections, headers=headers, method=method, body=hot.body)
    loaded(seconds=_WARM_UP_SECONDS)
    with ThreadPoolExecutor(1) as pool:
        rate = pool.submit(loaded, seconds=run.seconds + 1)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not raw.exists():
            raise NotRun(f"py-spy took no profile: {(done.stderr or done.stdout).strip()[-300:]}")
        return summed(raw.read_text()), rate.result().rate


def main() -> int:
    """Print the profile of a hot path; 2 where it could not be taken."""
    parser = argparse.ArgumentParser(prog="benchmarks.profiling", description=__doc__)
    parser.add_argument("path", choices=HOT_PATHS)
    parser.add_argument("--seconds", type=int, default=10, help="how long samples are taken (default 10)")
    parser.add_argument("--top", type=int, default=15, help="entries of each table (default 15)")
    parser.add_argument("--outside", action="store_true", help="threads without the interpreter too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fountain-profile-") as folder:
        run = Run(Path(folder), 1, options.seconds)
        with run.closing:
            try:
                found, rate = profile(run, HOT_PATHS[options.path], outside=options.outside)
            except (NotRun, OSError) as reason:
                print(f"not run: {reason}", file=sys.stderr)
                return 2
    print(f"{options.path}: {found.samples} samples at {rate:.0f} requests a second; {machine()}\n")
    print("\n".join(table(found.own, found.samples, options.top, "itself")), end="\n\n")
    print("\n".join(table(found.within, found.samples, options.top, "with all that it calls")))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
