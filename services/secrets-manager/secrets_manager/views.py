"""What a reader of a secret gets, rendered once for each state of it and kept in memory (bounded)."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from fountain_common.db import Database
from fountain_common.errors import Problem
from sqlalchemy import Connection

from secrets_manager import repository_secrets as secrets
from secrets_manager.envelope import CannotOpenError
from secrets_manager.models_secrets import SecretVersionRow
from secrets_manager.repository_rotating import HeldVersion
from secrets_manager.rotation import VersionState
from secrets_manager.values import Values
from secrets_manager.vault import Vault

_MAX_BYTES: Final = 64 * 1024 * 1024
"""Some 80,000 secrets of two generated values: one that is not in memory takes half as long again."""
_OVERHEAD_BYTES: Final = 320
"""What a view takes beside its body: itself, its names, and its place among the others (measured)."""


@dataclass(frozen=True, repr=False, slots=True)
class SecretView:
    """A secret at one moment: the rendered answers and what must be known to give them."""

    service_name: str
    revoked: bool
    etag: str
    active: int
    newest_held: int
    body: bytes = field(repr=False)

    def without_values(self) -> bytes:
        """Return the answer for those who may see that it exists, and no value."""
        document = orjson.loads(self.body)
        document["secrets"] = {}
        for version in document["versions"]:
            version["secrets"] = {}
        return orjson.dumps(document)

    def __repr__(self) -> str:
        return f"<SecretView {self.service_name} {self.etag}>"


def load(connection: Connection, vault: Vault, service_name: str) -> SecretView | None:
    """Build the view of one secret from the database; None if there is none."""
    return _view_of(secrets.SHOWN.rows(connection, [service_name]), vault, service_name)


def _view_of(rows: Sequence[Sequence[Any]], vault: Vault, service_name: str) -> SecretView | None:
    if not rows:
        return None
    epoch, revoked_at, updated_at, *_ = rows[0]
    held = [HeldVersion(service_name, *row[3:]) for row in rows if row[3] is not None]
    versions = [
        {"version": row.version, "state": row.state, "secrets": dict(open_values(vault, row).by_key)}
        for row in held
    ]
    active = next((row.version for row in held if row.state == VersionState.ACTIVE), 0)
    document = {
        "service_name": service_name,
        "version": active,
        "secrets": next((one["secrets"] for one in versions if one["version"] == active), {}),
        "versions": versions,
        "epoch": epoch or "",
        "updated_at": iso(updated_at),
    }
    return SecretView(
        service_name,
        revoked_at is not None,
        etag(epoch or "", [(row.version, row.state) for row in held]),
        active,
        max((row.version for row in held), default=0),
        # What orjson answers lies in the buffer that it wrote to, several times as large: kept is a copy.
        bytes(memoryview(orjson.dumps(document))),
    )


def open_values(vault: Vault, row: HeldVersion | SecretVersionRow) -> Values:
    """Return what a version holds; nothing once it is destroyed."""
    if row.sealed is None:
        return Values({}, frozenset())
    try:
        return vault.open(row.service_name, row.version, row.sealed)
    except CannotOpenError as failure:
        raise Problem(
            f"Version {row.version} of the secret of {row.service_name} does not open: its row in the "
            "database was altered. Restore a backup, or revoke the secret and make it anew."
        ) from failure


def etag(epoch: str, versions: list[tuple[int, str]]) -> str:
    """Return the entity tag of these versions in these states: `"<epoch>-8staged.7active.6draining"`."""
    return f'"{epoch}-{".".join(f"{version}{state}" for version, state in versions)}"'


def iso(moment: float) -> str:
    """Return a moment in RFC 3339, UTC."""
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


class Views:
    """Views by name, the least recently used dropped first; one that was invalidated while it loaded is
    not kept.
    """

    def __init__(self, database: Database, vault: Vault, max_bytes: int = _MAX_BYTES) -> None:
        self._database, self._vault, self._max_bytes = database, vault, max_bytes
        self._views: OrderedDict[str, SecretView] = OrderedDict()
        self._bytes = 0
        self._generation = 0

    async def get(self, service_name: str) -> SecretView | None:
        """Return the view of a secret as of now."""
        view = self.held(service_name)
        if view is not None:
            return view
        generation = self._generation
        loaded = _view_of(await self._database.rows(secrets.SHOWN, [service_name]), self._vault, service_name)
        if loaded is not None and generation == self._generation:
            self._keep(loaded)
        return loaded

    def held(self, service_name: str) -> SecretView | None:
        """Return the view of a secret if it is in memory."""
        view = self._views.get(service_name)
        if view is not None:
            self._views.move_to_end(service_name)
        return view

    def forget(self, service_name: str) -> None:
        """Drop a view: its secret has changed."""
        self._generation += 1
        self._drop(service_name)

    def clear(self) -> None:
        """Drop everything."""
        self._generation += 1
        self._views.clear()
        self._bytes = 0

    def _keep(self, view: SecretView) -> None:
        self._drop(view.service_name)
        self._views[view.service_name] = view
        self._bytes += _weight(view)
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._views)))

    def _drop(self, service_name: str) -> None:
        dropped = self._views.pop(service_name, None)
        if dropped is not None:
            self._bytes -= _weight(dropped)


def _weight(view: SecretView) -> int:
    return len(view.body) + _OVERHEAD_BYTES
