"""Secret zero.

At every start, what a service needs to prove who it is gets made if it is missing.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from fountain_common.db import Database
from fountain_common.logging import get_logger
from fountain_common.roles import Role
from sqlalchemy.orm import Session

from secrets_manager import key_files
from secrets_manager.api_keys import ApiKey
from secrets_manager.identities import Actor, Identities, NewIdentity, NewKey
from secrets_manager.models_identity import ApiKeyRow, IdentityRow
from secrets_manager.reconciliation import Found, Wanted, plan
from secrets_manager.repository_identities import IdentityRows, RowRefusedError

ADMIN: Final = "admin"
_LABEL: Final = "key file"


class Provider(Protocol):
    """Who sees to it that a service has a secret with the keys that it needs."""

    def provide(self, session: Session, service_name: str, *, generated: Sequence[str]) -> bool:
        """Make what is missing; tells whether anything was."""

    def changed(self, service_name: str) -> None:
        """Take note, once that is committed."""


@dataclass(frozen=True)
class Folders:
    """Where key files and certificates go."""

    identities: Path
    admin: Path
    trust: Path


class Reconciler:
    """Makes what is missing; running it again makes nothing more."""

    def __init__(
        self,
        db: Database,
        rows: IdentityRows,
        identities: Identities,
        secrets: Provider,
        folders: Folders,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._db, self._rows, self._identities, self._secrets = db, rows, identities, secrets
        self._folders, self._clock = folders, clock

    async def run(self, wanted: Sequence[Wanted], authority: str) -> None:
        """Reconcile all services, the admin and the certificate.

        The certificate goes first: whoever finds a key file can verify whom he shows the key to.
        """
        key_files.write_authority(self._folders.trust, authority)
        key_files.write_authority(self._folders.admin, authority)
        await self._or_refused(ADMIN, self._admin())
        for service in wanted:
            folder = self._folders.identities / service.name
            key_files.write_authority(folder, authority)
            await self._or_refused(service.name, self._service(service, folder))

    async def _or_refused(self, name: str, work: Awaitable[None]) -> None:
        """A row that was tampered with stops its own identity, not the start: health tells of it."""
        try:
            await work
        except RowRefusedError as error:
            get_logger().error("reconciliation_refused", identity=name, row=str(error))

    async def _service(self, wanted: Wanted, folder: Path) -> None:
        in_file = ApiKey.parse(key_files.read(folder / key_files.API_KEY))

        def write(session: Session) -> tuple[ApiKey | None, bool]:
            found, honoured = self._found(session, wanted.name, in_file)
            step = plan(found, honoured)
            if step is None:
                return None, False
            if step.make_identity:
                self._identities.create_in(
                    session, NewIdentity(wanted.name, "service", (Role.SERVICE.value,), remote=False), Actor()
                )
            made_secret = self._secrets.provide(session, wanted.name, generated=wanted.generated)
            if not step.make_key:
                return None, made_secret
            self._retire_unread(session, wanted.name)
            key, _ = self._identities.create_key_in(session, wanted.name, NewKey(_LABEL), Actor())
            return key, made_secret

        key, made_secret = await self._db.write(write)
        if made_secret:
            self._secrets.changed(wanted.name)
        if key is not None:
            # Killed before this line, the next start finds no key in the file that it knows, and makes
            # another.
            key_files.write_api_key(folder, key.reveal())
            get_logger().info("key_file_written", identity=wanted.name)

    async def _admin(self) -> None:
        """Make the admin and its key once.

        Whoever took the key file away keeps it elsewhere: no new one is put there.
        """
        in_file = ApiKey.parse(key_files.read(self._folders.admin / key_files.API_KEY))

        def write(session: Session) -> tuple[ApiKey | None, bool]:
            found, honoured = self._found(session, ADMIN, in_file)
            if found.revoked or honoured is not None:
                return None, True
            if not found.exists:
                new = NewIdentity(
                    ADMIN, "person", (Role.ADMIN.value,), remote=True, description="The first admin"
                )
                self._identities.create_in(session, new, Actor())
            elif self._used_or_many(session):
                return None, False
            self._retire_unread(session, ADMIN)
            key, _ = self._identities.create_key_in(session, ADMIN, NewKey(_LABEL), Actor())
            return key, True

        key, well = await self._db.write(write)
        if key is not None:
            key_files.write_api_key(self._folders.admin, key.reveal())
            get_logger().info("key_file_written", identity=ADMIN)
        elif not well:
            get_logger().warning(
                "admin_key_file_absent",
                what_to_do="fountain recover-admin makes a new key, if the key is lost",
            )

    def _found(self, session: Session, name: str, in_file: ApiKey | None) -> tuple[Found, str | None]:
        row: IdentityRow | None = self._rows.find(session, name)
        if row is None:
            return Found(exists=False, revoked=False), None
        keys = [key for key in self._rows.keys_of(session, name) if self._honoured(key)]
        right = in_file is not None and any(
            key.key_id == in_file.key_id and in_file.matches(key.hash) for key in keys
        )
        honoured = [key.key_id for key in keys]
        return Found(
            True, row.revoked_at is not None, honoured
        ), in_file.key_id if right and in_file else None

    def _honoured(self, row: ApiKeyRow) -> bool:
        alive = row.expires_at is None or self._clock() < row.expires_at
        return row.enabled and row.revoked_at is None and alive

    def _used_or_many(self, session: Session) -> bool:
        """Whether the admin has a key that somebody has used: then somebody has it."""
        return any(
            self._honoured(row) and (row.last_used_at is not None or row.label != _LABEL)
            for row in self._rows.keys_of(session, ADMIN)
        )

    def _retire_unread(self, session: Session, name: str) -> None:
        """Revoke keys that were made for the file and never used: a start was killed before it wrote them."""
        for row in self._rows.keys_of(session, name):
            if row.label == _LABEL and row.revoked_at is None and row.last_used_at is None:
                self._identities.revoke_key_in(session, name, row.key_id, Actor())
