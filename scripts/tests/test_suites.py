"""Every test of the repository is in one suite of `make test`."""

from pathlib import Path

import test as suites

ROOT = Path(__file__).parents[2]


def covered(suite: suites.Suite) -> set[Path]:
    ignored = {ROOT / one.removeprefix("--ignore=") for one in suite.arguments if one.startswith("--ignore=")}
    found: set[Path] = set()
    for one in suite.arguments:
        path = ROOT / one
        if path.is_file():
            found.add(path)
        elif path.is_dir():
            found |= set(path.rglob("test_*.py"))
    return found - ignored


def test_every_test_file_is_in_one_suite() -> None:
    everywhere = [covered(suite) for suite in [*suites.unit_suites(), suites.Suite("journeys", ("tests",))]]
    journeys = everywhere[-1] - {path for path in everywhere[-1] if "fuzz" in path.parts}
    counted = [path for one in (*everywhere[:-1], journeys) for path in one]
    assert len(counted) == len(set(counted))
    own = {"tests"}
    files = {
        path
        for path in ROOT.rglob("test_*.py")
        if not {".venv", "template", ".fountain", "build"} & set(path.parts) and own & set(path.parts)
    }
    assert files - set(counted) == set()


def test_those_in_a_browser_come_first() -> None:
    names = [suite.name for suite in suites.unit_suites()]
    in_a_browser = [name.endswith("in a browser") for name in names]
    assert any(in_a_browser)
    assert in_a_browser == sorted(in_a_browser, reverse=True)
