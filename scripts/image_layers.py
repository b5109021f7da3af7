"""Reads images as they are handed out: every layer, unpacked if it is compressed.

    python scripts/image_layers.py IMAGE...     writes all that is in the images to stdout, to be searched

What a later layer has removed or replaced is in the image still, for whoever unpacks it.
"""

import bz2
import gzip
import json
import lzma
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any

_PACKED = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
_PACKED_UNREADABLY = {b"\x28\xb5": "zstd"}
_REMOVED, _EMPTIED = ".wh.", ".wh..wh..opq"


class UnreadableLayerError(Exception):
    """A layer is packed in a way that cannot be unpacked here, so that nothing can be said about it."""


@dataclass(frozen=True)
class Image:
    """An image in an archive.

    Attributes:
        names: such as `fountainai-notification:latest`.
        config: what it says about itself (OCI image configuration): user, environment, health check, history.
        layers: their names in the archive, the lowest first.
    """

    names: tuple[str, ...]
    digest: str
    config: dict[str, Any]
    layers: tuple[str, ...]


class Archive:
    """Images as `docker save` writes them.

    Args:
        file: a tar file that can be sought in.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - closed with its file
        self._layers: dict[str, tarfile.TarFile] = {}

    def images(self) -> list[Image]:
        """Return the images, in the order in which they were asked for."""
        return [
            Image(
                names=tuple(one["RepoTags"] or ()),
                digest=PurePosixPath(one["Config"]).name.removesuffix(".json"),
                config=json.load(self._member(one["Config"])),
                layers=tuple(one["Layers"]),
            )
            for one in json.load(self._member("manifest.json"))
        ]

    def files(self, image: Image) -> dict[str, tarfile.TarInfo]:
        """Return what a container sees, by path without the first slash; a removed file is not among it."""
        return {path: info for path, (_, info) in self._seen(image).items()}

    def texts(self, image: Image, ends: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
        """Return path and content of the files that a container sees whose path ends so."""
        for path, (layer, info) in self._seen(image).items():
            content = self._layer(layer).extractfile(info) if path.endswith(ends) and info.isfile() else None
            if content is not None:
                yield path, content.read()

    def write_all(self, out: IO[bytes]) -> None:
        """Write everything that is in the archive, layers unpacked."""
        for info in self._tar:
            if info.isfile():
                shutil.copyfileobj(_unpacked(self._member(info.name), info.name), out, 1 << 20)

    def _seen(self, image: Image) -> dict[str, tuple[str, tarfile.TarInfo]]:
        seen: dict[str, tuple[str, tarfile.TarInfo]] = {}
        for layer in image.layers:
            infos = self._layer(layer).getmembers()
            for path in [_path(info.name) for info in infos]:
                _hide(seen, path)
            for info in infos:
                path = _path(info.name)
                if not PurePosixPath(path).name.startswith(_REMOVED):
                    seen[path] = (layer, info)
        return seen

    def _layer(self, name: str) -> tarfile.TarFile:
        # Images share layers: each is unpacked and listed once.
        if name not in self._layers:
            file = self._member(name)
            unpacked = _unpacked(file, name)
            if unpacked is not file:
                spooled = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the archive
                shutil.copyfileobj(unpacked, spooled, 1 << 20)
                spooled.seek(0)
                unpacked = spooled
            self._layers[name] = tarfile.open(fileobj=unpacked, mode="r:")  # noqa: SIM115 - as above
        return self._layers[name]

    def _member(self, name: str) -> IO[bytes]:
        file = self._tar.extractfile(name)
        if file is None:
            raise UnreadableLayerError(f"{name} is no file")
        return file


@contextmanager
def saved(images: Iterable[str]) -> Iterator[Archive]:
    """Open images of this machine's Docker engine, by name or id.

    Raises:
        subprocess.CalledProcessError: there is no such image, or no engine.
    """
    with tempfile.TemporaryFile() as file:
        subprocess.run(["docker", "save", *images], check=True, stdout=file)
        file.seek(0)
        yield Archive(file)


def _unpacked(file: IO[bytes], name: str) -> IO[bytes]:
    begin = file.read(2)
    file.seek(0)
    if begin in _PACKED_UNREADABLY:
        raise UnreadableLayerError(f"{name} is packed with {_PACKED_UNREADABLY[begin]}")
    opener: Any = _PACKED.get(begin)
    unpacked: IO[bytes] = opener(file) if opener else file
    return unpacked


def _path(name: str) -> str:
    return name.removeprefix("./").strip("/")


def _hide(seen: dict[str, Any], path: str) -> None:
    pure = PurePosixPath(path)
    if pure.name == _EMPTIED:
        _forget(seen, f"{pure.parent}/")
    elif pure.name.startswith(_REMOVED):
        gone = str(pure.with_name(pure.name.removeprefix(_REMOVED)))
        seen.pop(gone, None)
        _forget(seen, f"{gone}/")


def _forget(seen: dict[str, Any], folder: str) -> None:
    for path in [path for path in seen if path.startswith(folder)]:
        del seen[path]


def main() -> int:
    """Write what is in the images to stdout."""
    with saved(sys.argv[1:]) as archive:
        archive.write_all(sys.stdout.buffer)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
