"""Runs every suite that this machine can run, and says at the end which were: `make test`.

python scripts/test.py [unit] [local] [docker] [--service NAME] [--thorough]

  unit         the library, the command, and each service by itself: no network
  local        end to end, the platform as local processes
  docker       end to end, the platform in containers; only where a Docker engine answers
"""

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from fountain_cli.stack.choice import engine_answers

_ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(_ROOT))

from benchmarks import interpreter  # noqa: E402

_LOGS = _ROOT / ".fountain" / "tests"
_KINDS = ("unit", "local", "docker")
_BROWSING = ", in a browser"
_interrupted = threading.Event()
_IN_A_BROWSER = "tests/test_*browser*.py"
_APART = tuple(
    f"tests/test_{name}.py"
    for name in ("backup", "new_service", "machine", "repository", "measuring", "repeating")
)
"""Journeys with a platform of their own, and what needs none: they need not wait for those that share one."""
_NEWER = (3, 13)
_NEWER_ALONE = tuple(f"shared/tests/test_connection{name}.py" for name in ("", "_answers", "_begins"))
"""From that Python on the first request of a connection begins at once, in the images too."""
_NO_TESTS = 5
_AGAIN = "the same again: "
_SUMMARY = re.compile(r"\b\d+ (passed|failed|errors?)\b.* in ")


@dataclass(frozen=True)
class Suite:
    """One call of pytest."""

    name: str
    arguments: tuple[str, ...]
    python: str = sys.executable

    @property
    def command(self) -> list[str]:
        """What is run."""
        options = ("-p", "no:cacheprovider", "--no-header", "-o", "addopts=--import-mode=importlib")
        return [self.python, "-m", "pytest", *options, *self.arguments]


class Program(Suite):
    """One call of a program of ours."""

    @property
    def command(self) -> list[str]:
        """What is run."""
        return [sys.executable, *self.arguments]


APART = Suite("end to end, apart", (*_APART, "--runtime=local"))
IMAGES = Program("images", ("tests/stacks.py",))
"""Makes those of the journeys in containers while nobody waits for them yet."""


@dataclass(frozen=True)
class Result:
    """What became of a suite: `ok`, `FAIL`, or why it was not run."""

    suite: str
    outcome: str
    seconds: float
    last_line: str = ""


def unit_suites() -> list[Suite]:
    """Return the suites that need no platform: those in a browser, then the largest first so that none is
    waited for alone.
    """
    others = [_ROOT / name for name in ("caddy", "chaos", "observability", "scripts")]
    folders = [_ROOT / "shared", *sorted(_ROOT.glob("services/*")), *others]
    found = [folder for folder in folders if (folder / "tests").is_dir()]
    found.sort(
        key=lambda folder: sum(path.stat().st_size for path in folder.rglob("test_*.py")), reverse=True
    )
    browsing = {folder: tuple(map(_named, sorted(folder.glob(_IN_A_BROWSER)))) for folder in found}
    return [
        *(Suite(f"{_named(folder)}{_BROWSING}", files) for folder, files in browsing.items() if files),
        Suite("tests/fuzz", ("tests/fuzz",)),
        *(
            Suite(_named(folder), (_named(folder), *(f"--ignore={file}" for file in browsing[folder])))
            for folder in found
        ),
    ]


def _named(path: Path) -> str:
    return str(path.relative_to(_ROOT))


def run(suite: Suite) -> Result:
    """Run a suite; what it prints goes to a file, and here if it fails."""
    _LOGS.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = _LOGS / f"{suite.name.replace('/', '-').replace(' ', '-')}.log"
    began = time.monotonic()
    # A suite decides for itself where the platform runs; what the person has set is not meant for it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FOUNTAIN_")}
    with log.open("w") as file:
        done = subprocess.run(
            suite.command, cwd=_ROOT, env=environment, check=False, stdout=file, stderr=file
        )
    text = log.read_text(errors="replace")
    outcome = "ok" if done.returncode == 0 else "no tests" if done.returncode == _NO_TESTS else "FAIL"
    if outcome == "FAIL":
        print(f"\n----- {suite.name} -----\n{text}")
    summaries = [line.strip("= ") for line in text.splitlines() if _SUMMARY.search(line)]
    last = summaries[-1] if summaries else ""
    result = Result(suite.name, outcome, time.monotonic() - began, last)
    print(f"  {outcome:<8} {suite.name:<28} {result.seconds:6.1f} s  {last}", flush=True)
    for line in to_repeat(text):
        print(f"           {line}", flush=True)
    return result


def to_repeat(text: str) -> list[str]:
    """Return the lines that say how to run with the same seed again."""
    return [line for line in text.splitlines() if line.startswith(_AGAIN)]


def run_all(kinds: Iterable[str], service: str | None, *, thorough: bool = False) -> list[Result]:
    """Run the suites of these kinds; of one service alone if it is named.

    The journeys that share a platform wait a lot and go one runtime after the other: they are what all is
    waited for, and beside them there is room for the others.
    """
    wanted: list[Suite] = []
    if "unit" in kinds:
        suites = unit_suites()
        wanted = [one for one in suites if service is None or one.name.split(",")[0] == f"services/{service}"]
        if not wanted:
            names = ", ".join(one.name for one in suites)
            raise SystemExit(f"There is no service {service!r} with tests; there are {names}.")
    ends = list(kinds) if service is None else []
    containers, ready = engine_answers(), threading.Event()
    with ThreadPoolExecutor(max_workers=max(3, min(4, os.cpu_count() or 1))) as pool:
        try:
            # Taken up in this order: the second platform is started while the journeys measure nothing yet.
            before = [one for one in wanted if one.name.endswith(_BROWSING)]
            images = [IMAGES] if containers and "docker" in ends else []
            apart = replace(APART, arguments=(*APART.arguments, *(("--thorough",) if thorough else ())))
            others = [pool.submit(run, apart)] if "local" in ends else []
            journeys = pool.submit(run_journeys, ends, thorough=thorough, after=ready) if ends else None
            prepared = pool.submit(prepare, [*before, *images])
            prepared.add_done_callback(lambda _: ready.set())
            others += [pool.submit(run, one) for one in wanted if one not in before]
            if wanted and service is None and sys.version_info < _NEWER:
                others.append(pool.submit(run_on_newer_python, make=thorough))
            results = [*prepared.result(), *(future.result() for future in others)]
            return results + (journeys.result() if journeys is not None else [])
        except BaseException:
            # Who interrupts it does not want to wait for what has not begun.
            _interrupted.set()
            ready.set()
            pool.shutdown(cancel_futures=True)
            raise


def run_on_newer_python(*, make: bool) -> Result:
    """Run the tests of what only a newer Python than this one does, in an environment that is there already.

    Args:
        make: make one where there is none, which takes a minute or two.
    """
    version = ".".join(map(str, _NEWER))
    name = f"shared, Python {version}"
    found = interpreter.of_version(_NEWER)
    ready = [python for python in map(interpreter.ready, found) if python is not None]
    if not found:
        return Result(name, f"not run: no Python {version} is installed", 0)
    if not ready and not make:
        return Result(name, f"not run: no environment of Python {version}; --thorough makes one", 0)
    try:
        python = ready[0] if ready else interpreter.environment(found[0])
    except (OSError, ValueError, subprocess.SubprocessError):
        return Result(name, f"not run: an environment of Python {version} could not be made", 0)
    return run(Suite(name, _NEWER_ALONE, str(python)))


def prepare(suites: Iterable[Suite]) -> list[Result]:
    """Run what has to have ended before a container is started: to a browser the machine's network changes
    with each, and it gives up what it was loading. Last, make what containers are started from.
    """
    return [run(one) for one in suites if not _interrupted.is_set()]


def run_journeys(
    kinds: Iterable[str], *, thorough: bool, after: threading.Event | None = None
) -> list[Result]:
    """Run the journeys over the running platform, in one runtime after the other.

    Without an engine, what is else run in containers alone is run in local processes: nothing is left out
    everywhere.

    Args:
        kinds: which runtimes.
        thorough: the long journeys in each.
        after: is set when a container may be started.
    """
    results: list[Result] = []
    containers = engine_answers()
    more = ("--thorough",) if thorough or not containers else ()
    apart = tuple(f"--ignore={file}" for file in _APART)
    for kind, possible in (("local", True), ("docker", containers)):
        name = f"end to end, {kind}"
        if kind == "docker" and after is not None:
            after.wait()
        if kind in kinds and possible and not _interrupted.is_set():
            ignored = () if kind == "docker" and (thorough or "local" not in kinds) else apart
            results.append(run(Suite(name, ("tests", f"--runtime={kind}", *more, *ignored))))
        else:
            why = "not asked for" if kind not in kinds else "no Docker engine answers"
            results.append(Result(name, f"not run: {why}", 0))
    return results


def main(say: Callable[[str], None] = print) -> int:
    """Run what is asked for; 1 if a suite failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", help="unit, local, docker; all if none is named")
    parser.add_argument("--service", help="only the suite of this service")
    parser.add_argument(
        "--thorough",
        action="store_true",
        help="the long journeys in both runtimes, and an environment of a newer Python",
    )
    wanted = parser.parse_args()
    if unknown := [kind for kind in wanted.kinds if kind not in _KINDS]:
        parser.error(f"{unknown[0]!r} is no kind of suite: there are {', '.join(_KINDS)}")
    began = time.monotonic()
    results = run_all(wanted.kinds or _KINDS, wanted.service, thorough=wanted.thorough)
    say(f"\nWhat was run, in {time.monotonic() - began:.0f} s:")
    for result in results:
        say(f"  {result.outcome:<8} {result.suite:<28} {result.last_line}")
    failed = sum(result.outcome == "FAIL" for result in results)
    say(f"suites: {sum(result.outcome == 'ok' for result in results)} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())
