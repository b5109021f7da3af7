"""Files for others: API keys and the CA, by atomic rename, so that a reader sees a whole one or none."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

API_KEY: Final = "api-key"
AUTHORITY: Final = "ca.pem"
_SECRET_MODE: Final = 0o400
_PUBLIC_MODE: Final = 0o444


def write_api_key(folder: Path, key: str) -> None:
    """Put a key there, readable by its owner alone.

    All images run as one user, and each mounts only its own volume.
    """
    _write(folder / API_KEY, key + "\n", _SECRET_MODE)


def write_authority(folder: Path, pem: str) -> None:
    """Put the CA's certificate there, unless it is there already."""
    path = folder / AUTHORITY
    if read(path) != pem.strip():
        _write(path, pem, _PUBLIC_MODE)


def write_public(path: Path, content: str) -> None:
    """Put a file there that anybody may read."""
    _write(path, content + "\n", _PUBLIC_MODE)


def read(path: Path) -> str:
    """Return what is in a file, stripped; empty if there is none."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return ""


def _write(path: Path, content: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
