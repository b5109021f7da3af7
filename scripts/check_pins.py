"""Says whether everything that gets into an image is pinned: `python scripts/check_pins.py`.

It asks no index; that the files follow from one another down to the last dependency, `lock.sh --check` says.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from pins import (
    disagreements,
    dockerfile_problems,
    input_problems,
    locked_problems,
    pins,
    requirements,
)

_ROOT = Path(__file__).resolve().parent.parent


def problems(root: Path) -> Iterator[str]:
    """Return everything that is wrong below a folder, each with its file."""
    for path in sorted([*root.glob("requirements*.in"), *root.glob("*/**/requirements.in")]):
        if not _is_ours(path.relative_to(root)):
            continue
        given, locked = path.read_text(), path.with_suffix(".txt")
        yield from _at(path, input_problems(given))
        if locked.is_file():
            text = locked.read_text()
            yield from _at(locked, locked_problems(text))
            yield from _at(locked, disagreements(_with_included(path), text))
            yield from _at(locked, _other_versions(root, locked, text))
        elif "templates" not in path.parts:
            yield f"{path.relative_to(root)} has no {locked.name}: run make lock"
    for path in sorted([*root.glob("**/Dockerfile"), *root.glob("**/Dockerfile.jinja")]):
        if _is_ours(path.relative_to(root)):
            yield from _at(path, dockerfile_problems(path.read_text()))
    for path in sorted(root.glob("scripts/*.sh")):
        installs = [line for line in _lines(path) if re.search(r"\bpip\b.*\binstall\b", line)]
        for line in installs:
            if "--require-hashes" not in line:
                yield from _at(path, iter([f"{line.strip()!r} lacks --require-hashes"]))


def _is_ours(path: Path) -> bool:
    return not any(part.startswith(".") for part in path.parts)


def _at(path: Path, found: Iterator[str]) -> Iterator[str]:
    return (f"{path.relative_to(_ROOT) if path.is_relative_to(_ROOT) else path}: {one}" for one in found)


def _lines(path: Path) -> list[str]:
    return re.sub(r"\\\n", " ", path.read_text()).splitlines()


def _with_included(path: Path) -> str:
    """The text of a requirements.in with those that it includes."""
    lines = []
    for line in requirements(path.read_text()):
        if line.startswith("-r "):
            lines.append(_with_included(path.parent / line.split()[1]))
        else:
            lines.append(line)
    return "\n".join(lines)


def _other_versions(root: Path, path: Path, text: str) -> Iterator[str]:
    shared = root / "shared" / "requirements.txt"
    if path == shared or not shared.is_file():
        return
    expected = pins(shared.read_text())
    for name, version in pins(text).items():
        if expected.get(name, version) != version:
            yield f"{name} is {version} here and {expected[name]} in the library: run make lock"


def main() -> int:
    """Look at the repository; 1 if something is not pinned."""
    found = list(problems(_ROOT))
    for one in found:
        print(one)
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
