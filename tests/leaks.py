"""Looking for values where none may be: environments, files, logs, images, events."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import image_layers
from fountain_cli.stack import ComposeStack, LocalStack

_SHORTEST = 12
_KEY_VOLUMES = ("/identities/", "/admin", "/kek", "/run/fountain/identity")
_KEY_FOLDERS = ("identities", "admin", "kek")


@dataclass(frozen=True)
class Place:
    """Somewhere to look: a command whose output is searched."""

    name: str
    command: tuple[str, ...]


class Needles:
    """Values to look for, each under a label that may be printed.

    Args:
        values: by label.
        file: where the patterns are kept for grep, readable by this user alone.
    """

    def __init__(self, values: Mapping[str, str], file: Path) -> None:
        self._values = {label: value for label, value in values.items() if len(value) >= _SHORTEST}
        self._file = file
        file.touch(mode=0o600)
        file.write_text("\n".join(form for value in self._values.values() for form in _forms(value)) + "\n")

    def __len__(self) -> int:
        return len(self._values)

    def in_text(self, text: str) -> list[str]:
        """Return the labels of what is in a text."""
        return [label for label, value in self._values.items() if any(form in text for form in _forms(value))]

    def are_in(self, place: Place) -> bool:
        """Tell whether anything is in a place; a place that cannot be read is a failure, not an absence."""
        with subprocess.Popen(place.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reading:
            grep = ["grep", "--count", "--text", "--fixed-strings", "--file", str(self._file)]
            # It counts, and so reads to the end: stopping at the first hit would break the pipe.
            found = subprocess.run(grep, stdin=reading.stdout, capture_output=True, check=False)
            said = reading.stderr.read().decode(errors="replace") if reading.stderr else ""
        assert reading.returncode == 0, f"{place.name} could not be read: {said[-500:]}"
        assert found.returncode in (0, 1), found.stderr
        return found.returncode == 0


def _forms(value: str) -> Iterator[str]:
    """A value as it is, and as it looks in base64."""
    yield value
    yield base64.b64encode(value.encode()).decode().rstrip("=")


def keys(stack: LocalStack | ComposeStack) -> dict[str, str]:
    """Return every key file of the platform by its path: API keys and the key-encryption key."""
    if isinstance(stack, LocalStack):
        files = [
            file
            for name in _KEY_FOLDERS
            for file in (stack.state.folder / name).rglob("*key*")
            if file.is_file()
        ]
        return {
            str(file.relative_to(stack.state.folder)): file.read_text(errors="replace").strip()
            for file in files
        }
    script = 'for file in /identities/*/api-key /admin/api-key /kek/*; do echo "$file $(cat $file)"; done'
    lines = _docker("exec", _ids(stack, "secrets-manager")[0], "sh", "-c", script).splitlines()
    return dict(line.split(" ", 1) for line in lines)  # type: ignore[misc]


def places(stack: LocalStack | ComposeStack) -> Iterator[Place]:
    """Return everywhere that a value could have come to, but for the key volumes and memory."""
    yield from _local(stack) if isinstance(stack, LocalStack) else _containers(stack)


def key_places(stack: LocalStack | ComposeStack) -> Iterator[Place]:
    """Return where the keys must be found: the proof that looking finds."""
    if isinstance(stack, LocalStack):
        folders = [str(stack.state.folder / name) for name in _KEY_FOLDERS]
        yield Place("key folders", ("tar", "-cf", "-", *folders))
    else:
        yield Place(
            "key volumes",
            ("docker", "exec", _ids(stack, "secrets-manager")[0], "tar", "-cf", "-", "/admin", "/identities"),
        )


def _local(stack: LocalStack) -> Iterator[Place]:
    state = stack.state.folder
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = os.fsencode(state) in (process / "environ").read_bytes()
        except OSError:
            continue
        if ours:
            yield Place(
                f"environment of process {process.name}", ("cat", f"{process}/environ", f"{process}/cmdline")
            )
    # Files change and vanish while they are read, which is no failure (1); one that cannot be read is (2).
    left_out = [f"--exclude=./{name}" for name in _KEY_FOLDERS]
    yield Place("state, logs and databases", _archived("-C", str(state), *left_out, "."))


def containers(stack: ComposeStack) -> list[dict[str, Any]]:
    """Return what Docker knows of each container of the platform."""
    found: list[dict[str, Any]] = json.loads(_docker("inspect", *_ids(stack)))
    return found


def _containers(stack: ComposeStack) -> Iterator[Place]:
    images = set()
    for container in containers(stack):
        identity = container["Id"]
        name = container["Name"].removeprefix("/")
        images.add(container["Image"])
        yield Place(f"configuration and environment of {name}", ("docker", "inspect", identity))
        pids = _docker("top", identity, "-eo", "pid").split()[1:]
        environments = [f"/proc/{pid}/environ" for pid in pids if Path(f"/proc/{pid}").exists()]
        yield Place(f"environments of the processes of {name}", ("cat", *environments))
        yield Place(f"files of {name}", ("docker", "exec", identity, *_archived(*_searched(container))))
    # Layers may be compressed: they are searched unpacked.
    yield Place("images", (sys.executable, image_layers.__file__, *sorted(images)))


def _archived(*arguments: str) -> tuple[str, ...]:
    return ("sh", "-c", '"$@" || test $? = 1', "tar", "tar", "-cf", "-", *arguments)


def _searched(container: Mapping[str, Any]) -> list[str]:
    """What a container can write to: the rest is its image, which is searched by itself."""
    assert container["HostConfig"]["ReadonlyRootfs"], f"{container['Name']} can write to its image"
    mounts = [mount["Destination"] for mount in container["Mounts"]]
    writable = [*mounts, *(container["HostConfig"]["Tmpfs"] or {})]
    return [path for path in writable if not f"{path}/".startswith(_KEY_VOLUMES)]


def _ids(stack: ComposeStack, service: str | None = None) -> list[str]:
    labels = [f"com.docker.compose.project={stack.project}"]
    if service is not None:
        labels.append(f"com.docker.compose.service={service}")
    return _docker("ps", "-q", *(word for label in labels for word in ("--filter", f"label={label}"))).split()


def _docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout
