"""Reading a secret, and becoming one of its holders by it. The hot path: no query once the view is in
memory.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from fountain_common.auth import Caller
from fountain_common.errors import Gone, NotFound, TooManyRequests
from fountain_common.requests import current
from sqlalchemy.orm import Session

from secrets_manager import repository_rotations as rotations
from secrets_manager import repository_secrets as secrets
from secrets_manager import transitions, views
from secrets_manager.access import Access
from secrets_manager.audit import Audit
from secrets_manager.changes import Changes
from secrets_manager.holders import HolderKey, Presence
from secrets_manager.models_secrets import HolderRow, SecretVersionRow
from secrets_manager.preconditions import matches
from secrets_manager.recording import recorder
from secrets_manager.rotation import VersionState
from secrets_manager.vault import Vault
from secrets_manager.views import SecretView, Views

_READ = "secrets:read"


@dataclass(frozen=True)
class Reading:
    """An answer to a reader; no body means that he has it already."""

    etag: str
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class VersionReading:
    """One version, for those who ask for it by number."""

    service_name: str
    version: int
    state: str
    values: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class ReadingService:
    """Hands out values, and keeps account of who holds them."""

    views: Views
    vault: Vault
    changes: Changes
    presence: Presence
    access: Access
    audit: Audit
    clock: Callable[[], float]

    async def read(
        self, caller: Caller, service_name: str, instance_id: str | None, if_none_match: str | None
    ) -> Reading:
        """Return the held versions of a secret. Nothing leaves before its audit record is durable.

        An instance that names itself becomes a holder in the transaction that reads, or is renewed.
        """
        sees_values = self.access.require_sight(caller, service_name)
        view = _present(await self.views.get(service_name), service_name)
        if not sees_values:
            return await self._without_values(caller, view, if_none_match)
        if instance_id is not None:
            holder = HolderKey(service_name, caller.subject, instance_id)
            if not self.presence.renew(holder):
                view = await self._become_holder(caller, holder, if_none_match)
                return Reading(view.etag, view.body)
        return await self._hand_out(caller, view, if_none_match)

    async def read_held(
        self, caller: Caller, service_name: str, instance_id: str | None, if_none_match: str | None
    ) -> Reading | None:
        """Do what `read` does where nothing has to be refused or changed; None, and nothing done, otherwise.

        `service_name` is as it was sent: one that is not the canonical name is nobody's here.
        """
        if not self.access.sees_values(caller, service_name):
            return None
        view = await self.views.get(service_name)
        if view is None or view.revoked:
            return None
        if instance_id is not None and not self.presence.renew(
            HolderKey(service_name, caller.subject, instance_id)
        ):
            return None
        return await self._hand_out(caller, view, if_none_match)

    async def _hand_out(self, caller: Caller, view: SecretView, if_none_match: str | None) -> Reading:
        if if_none_match is not None and matches(if_none_match, view.etag):
            self.audit.count_not_modified(f"secrets/{view.service_name}")
            return Reading(view.etag)
        await self._record(caller, view.service_name, view.active)
        return Reading(view.etag, view.body)

    async def read_version(self, caller: Caller, service_name: str, version: int) -> VersionReading:
        """Return one version, whatever its state; Gone if its values were destroyed."""
        sees_values = self.access.require_sight(caller, service_name)

        def find(session: Session) -> SecretVersionRow | None:
            secret = secrets.find(session, service_name)
            # One that never was is not looked for among all that were.
            if secret is None or secret.revoked_at is not None or version > secret.newest_version:
                return None
            return secrets.version(session, service_name, version)

        row = await self.changes.read(find)
        if row is None:
            raise NotFound(f"There is no version {version} of the secret of {service_name}.")
        if not sees_values:
            await self._record(caller, service_name, version, values=False)
            return VersionReading(service_name, version, row.state, {})
        if row.sealed is None:
            raise Gone(f"Version {version} of the secret of {service_name} was destroyed.")
        await self._record(caller, service_name, version)
        opened = views.open_values(self.vault, row)
        return VersionReading(service_name, version, row.state, dict(opened.by_key))

    async def _without_values(self, caller: Caller, view: SecretView, if_none_match: str | None) -> Reading:
        etag = f'{view.etag[:-1]}-names"'
        if if_none_match is not None and matches(if_none_match, etag):
            self.audit.count_not_modified(f"secrets/{view.service_name}")
            return Reading(etag)
        await self._record(caller, view.service_name, view.active, values=False)
        return Reading(etag, view.without_values())

    async def _become_holder(
        self, caller: Caller, holder: HolderKey, if_none_match: str | None
    ) -> SecretView:
        """Make a holder and read, in one transaction.

        A fresh instance uses what it is handed and nothing older: it holds up no version that drains. One
        that was here before, and away for longer than its time to live, may still use an older version: it
        counts as using none until it has acknowledged anew. A whole answer, never a 304, makes it do so.
        """
        name = holder.service_name
        if self.presence.is_full(name, holder.identity):
            raise TooManyRequests(
                f"Too many instances of {holder.identity} hold this secret. Try again once some have left.",
                headers={"Retry-After": "90"},
            )
        returning = if_none_match is not None or self.presence.was_here(holder)
        record = recorder(self.audit, caller, _READ, f"secrets/{name}")

        def run(session: Session) -> SecretView:
            now = self.clock()
            if rotations.holder(session, *holder) is None:
                active = secrets.version_in(session, name, VersionState.ACTIVE)
                known = 0 if returning or active is None else active.version
                session.add(HolderRow(**holder._asdict(), accepts=known, uses=known, since=now))
                session.flush()
                transitions.progress(session, name, now)
            view = _present(views.load(session.connection(), self.vault, name), name)
            record(session, version=view.active, instance_id=holder.instance_id)
            return view

        return await self.changes.commit(name, run, lambda _: self.presence.add([holder]))

    async def _record(self, caller: Caller, service_name: str, version: int, *, values: bool = True) -> None:
        await self.audit.append(
            caller=caller,
            action=_READ,
            target=f"secrets/{service_name}",
            outcome="allowed",
            detail={"version": version} if values else {"version": version, "values": False},
            request=current(),
        )


def _present(view: SecretView | None, service_name: str) -> SecretView:
    if view is None or view.revoked:
        raise NotFound(f"There is no secret of {service_name}.")
    return view
