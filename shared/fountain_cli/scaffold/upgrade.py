"""Brings a later version of the template to a service that was made from an earlier one.

A three-way merge, file by file: what the template changed is changed in the service, what the team changed
stays, and where both changed the same lines the file gets conflict markers, as with git.
"""

import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import yaml  # type: ignore[import-untyped]

from fountain_cli.scaffold.new import NotMade
from fountain_cli.scaffold.template import (
    ANSWERS_FILE,
    TEMPLATE,
    Answers,
    extract,
    render,
    template_tree,
    tidy,
)

_MINE = "this service"
_MARKER = f"<<<<<<< {_MINE}".encode()


@dataclass
class Upgraded:
    """What an upgrade did: files changed, files with conflicts to be resolved, relative to the service."""

    changed: list[Path] = field(default_factory=list)
    conflicts: list[Path] = field(default_factory=list)


def upgrade_service(root: Path, name: str) -> Upgraded:
    """Merge what has changed in the template since the service was made, or last upgraded.

    Raises:
        NotMade: there is no such service from the template, git does not know that template, or conflicts of
            the last upgrade are still there.
    """
    folder = root / "services" / name
    answers = _answers(folder, name)
    was, now = str(answers.get("template") or ""), template_tree(root)
    unresolved = _unresolved(folder)
    if was == now:
        return Upgraded(conflicts=unresolved)
    if unresolved:
        raise NotMade(f"{unresolved[0]} still has conflict markers of the last upgrade; resolve them first.")
    with tempfile.TemporaryDirectory() as workplace:
        earlier, old, new = (Path(workplace, part) for part in ("template", "old", "new"))
        if not was or not extract(root, was, earlier):
            raise NotMade(
                f"git has no template {was!r}, which services/{name} was made from; fetch its history."
            )
        render(earlier, old, answers)
        render(root / TEMPLATE, new, answers | {"template": now})
        for side in (old, new):
            tidy(side, root)
        return _merged(folder, old, new)


def _unresolved(folder: Path) -> list[Path]:
    """The files in which a conflict of an earlier upgrade waits for a person, relative to the service."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [path.relative_to(folder) for path in files if _MARKER in path.read_bytes()]


def _answers(folder: Path, name: str) -> Answers:
    try:
        answers = yaml.safe_load((folder / ANSWERS_FILE).read_text())
    except FileNotFoundError:
        raise NotMade(f"services/{name} was not made from the template.") from None
    return dict(answers)


def _merged(folder: Path, old: Path, new: Path) -> Upgraded:
    done = Upgraded()
    names = {path.relative_to(side) for side in (old, new) for path in side.rglob("*") if path.is_file()}
    for name in sorted(names):
        before, after, mine = _text(old / name), _text(new / name), _text(folder / name)
        if before == after or mine == after:
            continue
        if mine is None:
            if before is not None:
                continue  # the team took it away; it stays away
            merged, conflict = after, False
        elif mine == before:
            merged, conflict = after, False
        else:
            merged, conflict = _three_way(mine, before or "", after or "")
        _write(folder / name, merged)
        (done.conflicts if conflict else done.changed).append(name)
    return done


def _three_way(mine: str, before: str, after: str) -> tuple[str, bool]:
    with tempfile.TemporaryDirectory() as workplace:
        paths = [Path(workplace, name) for name in ("mine", "before", "template")]
        for path, text in zip(paths, (mine, before, after), strict=True):
            path.write_text(text)
        labels = [part for label in (_MINE, "template before", "template now") for part in ("-L", label)]
        command = ["git", "merge-file", "-p", *labels, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout, done.returncode != 0


def _text(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


def _write(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
