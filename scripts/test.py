#!/usr/bin/env python3
"""Runs every suite that this machine can run, and says at the end which those were: `make test`.

scripts/test.py [unit | local | compose ...] [--service NAME]
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("unit", "local", "compose")
# Unit suites share the cores; the others are measured by what the whole machine can do.
SIDE_BY_SIDE = max(1, min(4, os.cpu_count() or 1))
OWN_SUITES = {"shared": "the library", "caddy": "the edge", "observability": "alerts"}


@dataclass(frozen=True)
class Suite:
    """A pytest run of its own: services cannot share a process, since each has a module `main`."""

    name: str
    folder: Path
    options: tuple[str, ...] = ()

    def run(self, *, quiet: bool) -> "Outcome":
        """Run it; with `quiet`, what it prints is kept for later."""
        command = [sys.executable, "-m", "pytest", "--color=no", "-p", "no:cacheprovider", *self.options]
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=self.folder, check=False, text=True, stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
        )  # fmt: skip
        return Outcome(self.name, done.returncode, time.monotonic() - began, done.stdout or "")


@dataclass(frozen=True)
class Outcome:
    """How a suite ended; `output` is what it printed, if that was kept."""

    name: str
    status: int
    seconds: float
    output: str

    @property
    def verdict(self) -> str:
        """In a word."""
        return "passed" if self.status == 0 else f"FAILED ({self.status})"


def unit_suites(service: str | None) -> list[Suite]:
    """Every suite that needs no running platform, the longest first."""
    services = sorted(path.parent for path in (ROOT / "services").glob("*/pytest.ini"))
    if service:
        found = [Suite(service, folder) for folder in services if folder.name == service]
        if not found:
            names = ", ".join(one.name for one in services)
            sys.exit(f"There is no service {service!r} with tests; there are {names}.")
        return found
    own = [Suite(name, ROOT / folder) for folder, name in OWN_SUITES.items() if (ROOT / folder).is_dir()]
    return [*(Suite(folder.name, folder) for folder in reversed(services)), *own]


def run_unit(suites: list[Suite]) -> list[Outcome]:
    """Run them side by side; each is shown whole when it ends."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        running: list[Future[Outcome]] = [pool.submit(suite.run, quiet=True) for suite in suites]
        outcomes = []
        for future in running:
            outcome = future.result()
            print(f"\n== {outcome.name}: {outcome.verdict} in {outcome.seconds:.0f} s", flush=True)
            print(outcome.output.rstrip(), flush=True)
            outcomes.append(outcome)
        return outcomes


def engine_answers() -> bool:
    """Whether a Docker engine with Compose v2 is at hand, and wanted."""
    if os.environ.get("FOUNTAIN_RUNTIME") == "local" or shutil.which("docker") is None:
        return False
    probes = (["docker", "info"], ["docker", "compose", "version"])
    return all(subprocess.run(probe, capture_output=True, check=False).returncode == 0 for probe in probes)


def journeys(runtime: str) -> Outcome:
    """Run the journeys over a platform of their own."""
    name = {"local": "journeys on local processes", "compose": "journeys on Compose"}[runtime]
    print(f"\n== {name}", flush=True)
    outcome = Suite(name, ROOT / "tests", (f"--runtime={runtime}",)).run(quiet=False)
    print(f"== {name}: {outcome.verdict} in {outcome.seconds:.0f} s", flush=True)
    return outcome


def main() -> int:
    """Run what was asked for, or everything; 0 when all of it passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", help="unit, local, compose; all if none is named")
    parser.add_argument("--service", help="the unit tests of one service")
    options = parser.parse_args()
    if unknown := set(options.kinds) - set(KINDS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    kinds = ("unit",) if options.service else tuple(options.kinds) or KINDS
    outcomes, left_out = [], []
    if "unit" in kinds:
        outcomes += run_unit(unit_suites(options.service))
    if "local" in kinds:
        outcomes.append(journeys("local"))
    if "compose" in kinds:
        if engine_answers():
            outcomes.append(journeys("compose"))
        else:
            left_out.append("journeys on Compose: no Docker engine with Compose v2 answers here")
    print("\nWhat was run:")
    for outcome in outcomes:
        print(f"  {outcome.verdict:12} {outcome.seconds:5.0f} s  {outcome.name}")
    for reason in left_out:
        print(f"  not run               {reason}")
    failed = sum(outcome.status != 0 for outcome in outcomes)
    print(f"\nsuites: {len(outcomes) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
