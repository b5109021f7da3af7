"""Says whether everything that gets into an image may be handed out: `python scripts/check_licences.py`.

With `--table` it prints every distribution with its licence, and why it is well, as Markdown. It looks at
what the requirements of the services name, as it is installed here; the end-to-end suite looks into the
images.
"""

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from licences import EXCEPTIONS, licence_of, problem
from packaging.requirements import Requirement
from pins import canonical, requirements

_ROOT = Path(__file__).resolve().parent.parent


def named(root: Path) -> list[tuple[str, str]]:
    """Return name and version of all that the services are locked to, for this interpreter."""
    found = set()
    for path in root.glob("services/*/requirements.txt"):
        for line in requirements(path.read_text()):
            requirement = Requirement(line.partition(" --hash")[0])
            if requirement.marker is None or requirement.marker.evaluate():
                found.add((canonical(requirement.name), str(requirement.specifier).removeprefix("==")))
    return sorted(found)


def rows(wanted: list[tuple[str, str]]) -> Iterator[tuple[str, str, str, str | None]]:
    """Return name, version, licence, and what is wrong."""
    for name, version in wanted:
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            yield name, version, "", f"{name} is not installed here: run make check"
            continue
        licence = licence_of(installed.metadata)
        yield name, installed.version, licence, problem(name, licence)


def main() -> int:
    """Look at all; 1 if one may not be handed out."""
    found = list(rows(named(_ROOT)))
    if "--table" in sys.argv[1:]:
        print("| distribution | version | licence | |\n|---|---|---|---|")
        for name, version, licence, wrong in found:
            print(f"| {name} | {version} | {licence} | {wrong or EXCEPTIONS.get(name, ('', ''))[1]} |")
    else:
        for wrong in filter(None, (wrong for *_, wrong in found)):
            print(wrong)
    return int(any(wrong for *_, wrong in found))


if __name__ == "__main__":
    raise SystemExit(main())
