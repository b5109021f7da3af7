"""Makes a service: everything is checked before anything is written, and a second run changes nothing."""

import os
import re
import shutil
import tempfile
from pathlib import Path

from fountain_cli.scaffold.naming import BadName, good_name
from fountain_cli.scaffold.template import ANSWERS_FILE, TEMPLATE, Answers, render, template_tree, tidy
from fountain_cli.scaffold.wiring import CannotWire, listed, published, wired
from fountain_cli.stack.layout import next_port, services

_SMALLEST = "example-consumer"
_DESCRIPTION = 300


class NotMade(Exception):
    """The service was not made and nothing was written; the message says why and what to do."""


def make_service(root: Path, raw_name: str, *, description: str = "") -> list[Path]:
    """Make the service `raw_name` in the repository at `root`.

    Returns the files written or changed, relative to `root`; none where the service is there already.

    Raises:
        NotMade: the name is bad or taken, the description too long, or a Compose file cannot be wired.
    """
    try:
        name = good_name(root, raw_name)
    except BadName as reason:
        raise NotMade(str(reason)) from None
    folder = root / "services" / name
    description = _good_description(description)
    if (folder / ANSWERS_FILE).exists():
        # It is there; what a run that was interrupted left undone is done now.
        wirings = _wirings(root, name, _port_of(root, name))
        for path, text in wirings.items():
            _replace(path, text)
        return [path.relative_to(root) for path in wirings]
    if folder.exists():
        raise NotMade(f"services/{name} exists and was not made from the template. Choose another name.")
    port = next_port(root)
    wirings = _wirings(root, name, port)
    with tempfile.TemporaryDirectory(dir=root / "services", prefix=".new-") as workplace:
        made = Path(workplace, name)
        answers: Answers = {"service_name": name, "port": port, "template": template_tree(root)}
        render(root / TEMPLATE, made, answers | ({"description": description} if description else {}))
        _lock(root, made, name)
        tidy(made, root)
        made.rename(folder)
    for path, text in wirings.items():
        _replace(path, text)
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path.relative_to(root) for path in (*written, *wirings)]


def _good_description(raw: str) -> str:
    text = re.sub(" +", " ", raw).strip()
    if len(text) > _DESCRIPTION or not text.isprintable():
        raise NotMade(f"A description is one line of at most {_DESCRIPTION} characters.")
    return text


def _wirings(root: Path, name: str, port: int) -> dict[Path, str]:
    """The Compose files that change, with their new text."""
    compose, compose_dev, compose_observability = (
        root / f"compose{kind}.yaml" for kind in ("", ".dev", ".observability")
    )
    try:
        wirings = {
            compose: wired(compose.read_text(), name),
            compose_dev: published(compose_dev.read_text(), name, port),
            compose_observability: listed(compose_observability.read_text(), name),
        }
    except CannotWire as reason:
        raise NotMade(str(reason)) from None
    return {path: text for path, text in wirings.items() if text != path.read_text()}


def _port_of(root: Path, name: str) -> int:
    return next(service.port for service in services(root) if service.name == name)


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
