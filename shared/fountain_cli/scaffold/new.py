"""Makes a service: everything is checked before anything is written, and a second run changes nothing."""

import os
import shutil
import tempfile
from pathlib import Path

from fountain_common.errors import InvalidName
from fountain_common.names import PLATFORM, service_name, snake

from fountain_cli.scaffold.template import TEMPLATE, Answers, render, template_tree
from fountain_cli.scaffold.wiring import CannotWire, listed, published, wired
from fountain_cli.stack.layout import next_port

_TAKEN = (*PLATFORM, "caddy", "fountain-common")
_SMALLEST = "example-consumer"
# Packages that a service's own would hide, or be hidden by.
_RESERVED_PACKAGES = {"main", "entrypoint", "tests", "fountain_common", "fountain_cli"}


class NotMade(Exception):
    """The service was not made and nothing was written; the message says why and what to do."""


def make_service(root: Path, raw_name: str, *, description: str = "") -> list[Path]:
    """Make the service `raw_name` in the repository at `root`.

    Returns the files written or changed, relative to `root`; none where the service is there already.

    Raises:
        NotMade: the name is bad or taken, or the template cannot be used.
    """
    name = _good_name(root, raw_name)
    folder = root / "services" / name
    compose, compose_dev, compose_observability = (
        root / f"compose{kind}.yaml" for kind in ("", ".dev", ".observability")
    )
    if (folder / ".copier-answers.yml").exists():
        return []
    if folder.exists():
        raise NotMade(f"services/{name} exists and was not made from the template. Choose another name.")
    port = next_port(root)
    try:
        wirings = {
            compose: wired(compose.read_text(), name),
            compose_dev: published(compose_dev.read_text(), name, port),
            compose_observability: listed(compose_observability.read_text(), name),
        }
    except CannotWire as reason:
        raise NotMade(str(reason)) from None
    with tempfile.TemporaryDirectory(dir=root / "services", prefix=".new-") as workplace:
        made = Path(workplace, name)
        answers: Answers = {"service_name": name, "port": port, "template": template_tree(root)}
        render(root / TEMPLATE, made, answers | ({"description": description} if description else {}))
        _lock(root, made, name)
        made.rename(folder)
    for path, text in wirings.items():
        _replace(path, text)
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path.relative_to(root) for path in (*written, *wirings)]


def _good_name(root: Path, raw: str) -> str:
    try:
        name = service_name(raw)
    except InvalidName as reason:
        raise NotMade(str(reason)) from None
    if name != raw:
        raise NotMade(f"{raw!r} is not written as names are: use {name!r}.")
    package = snake(name)
    if name in _TAKEN or package in _RESERVED_PACKAGES:
        raise NotMade(f"{name!r} is a name of the platform's own. Choose another.")
    if not package.isidentifier():
        raise NotMade(f"{name!r} cannot be the name of a Python package: begin with a letter.")
    return name


def _lock(root: Path, folder: Path, name: str) -> None:
    """Pin what a new service needs: as the smallest service does, so that no network is asked."""
    pinned = (root / "services" / _SMALLEST / "requirements.txt").read_text()
    text = pinned.replace(f"services/{_SMALLEST}/", f"services/{name}/")
    (folder / "requirements.txt").write_text(text)


def _replace(path: Path, text: str) -> None:
    """By rename, so that a reader sees the old file or the new one."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    shutil.copymode(path, temporary)
    Path(temporary).replace(path)
