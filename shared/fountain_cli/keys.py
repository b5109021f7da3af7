"""API keys of this person, by issuer: each is sent to that issuer and to nobody else."""

import json
import os
from pathlib import Path

from fountain_cli.exits import DENIED, CommandError


def _file() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "fountain" / "keys.json"


def _read() -> dict[str, str]:
    path = _file()
    try:
        if path.stat().st_mode & 0o077:
            raise CommandError(f"Others can read {path}. Run: chmod 600 {path}", DENIED)
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise CommandError(f"{path} is not JSON; mend or remove it.") from None
    return {str(issuer): str(key) for issuer, key in found.items()}


def _write(keys: dict[str, str]) -> None:
    path = _file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(keys, file, indent=1)
    os.replace(fresh, path)


def stored(issuer: str) -> str | None:
    """Return the key that was stored for this issuer."""
    return _read().get(issuer)


def store(issuer: str, key: str) -> None:
    """Keep a key for this issuer, readable by this user alone."""
    _write({**_read(), issuer: key})


def forget(issuer: str) -> bool:
    """Remove the key of this issuer; False if there was none."""
    keys = _read()
    if issuer not in keys:
        return False
    del keys[issuer]
    _write(keys)
    return True
