"""Who may call: identities and their API keys. Each change is written with its audit record and its event."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fountain_common.db import Database
from fountain_common.errors import Conflict, NotFound
from fountain_common.names import service_name
from fountain_common.outbox import enqueue
from fountain_common.requests import RequestContext
from sqlalchemy.orm import Session

from secrets_manager import repository_identities as revocations
from secrets_manager.api_keys import ApiKey
from secrets_manager.audit import SELF, Audit, Who
from secrets_manager.models_identity import ApiKeyRow, IdentityRow
from secrets_manager.repository_identities import KEY, SUBJECT, IdentityRows
from secrets_manager.row_state import DETAIL, RowState
from secrets_manager.signing_keys import TOKEN_SECONDS
from secrets_manager.tokens import revocation_moment

_KEYS_EACH: Final = 20
_OUTLIVES: Final = TOKEN_SECONDS + 60


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and through which request; `Actor()` is the secrets manager itself."""

    who: Who = None
    request: RequestContext | None = None

    @property
    def name(self) -> str:
        """The name that is kept as `created_by`."""
        return self.who if isinstance(self.who, str) else self.who.subject if self.who else SELF


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """What an identity is made of; `remote` says whether its keys get tokens through the edge."""

    name: str
    kind: str
    roles: tuple[str, ...]
    remote: bool
    description: str = ""


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a key is made of; no audiences means that it is not restricted."""

    label: str = ""
    audiences: tuple[str, ...] = ()
    expires_at: float | None = None


class Identities:
    """The one place where identities and keys change.

    A name that is given may be in either spelling, `two_factor` or `two-factor`. What is revoked, counted and
    written down goes by the row's own, which is the one in tokens.

    Args:
        clock: unix seconds, as tokens are dated by.
        steady: the same, of a clock that nobody sets: how long a revocation is kept.
    """

    def __init__(
        self,
        db: Database,
        rows: IdentityRows,
        audit: Audit,
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] | None = None,
    ) -> None:
        self._db, self._rows, self._audit, self._clock = db, rows, audit, clock
        self._steady = steady or clock
        self._state = RowState(rows.macs, audit)

    async def get(self, name: str) -> tuple[IdentityRow, list[ApiKeyRow]]:
        """Return an identity and its keys."""

        def read(session: Session) -> tuple[IdentityRow, list[ApiKeyRow]]:
            row = self._existing(session, name)
            return row, self._rows.keys_of(session, row.name)

        return await self._db.read(read)

    async def page(self, after: str, limit: int) -> list[IdentityRow]:
        """Return identities behind this name, in order."""
        return await self._db.read(lambda session: self._rows.page(session, after, limit))

    async def create(self, new: NewIdentity, actor: Actor) -> IdentityRow:
        """Make an identity without keys; Conflict if the name was ever taken."""
        return await self._db.write(lambda session: self.create_in(session, new, actor))

    def create_in(self, session: Session, new: NewIdentity, actor: Actor) -> IdentityRow:
        """Do what `create` does, inside a transaction."""
        self._state.begin(session)
        name = service_name(new.name)
        if name == SELF:
            raise Conflict(f"{SELF} is the secrets manager itself, which needs no identity.")
        if self._rows.find(session, name) is not None:
            raise Conflict(f"The name {name} is taken, or was: names are not used again. Choose another.")
        row = self._rows.sign(
            IdentityRow(
                name=name,
                kind=new.kind,
                roles=_joined(new.roles),
                remote=new.remote,
                description=new.description,
                created_at=self._clock(),
                created_by=actor.name,
                revoked_at=None,
            )
        )
        session.add(row)
        detail = {"kind": new.kind, "roles": list(new.roles), "remote": new.remote}
        self._record(session, actor, "identities:create", name, detail)
        return row

    async def update(
        self,
        name: str,
        actor: Actor,
        *,
        roles: Sequence[str] | None = None,
        remote: bool | None = None,
        description: str | None = None,
    ) -> IdentityRow:
        """Change an identity.

        Other roles revoke its tokens, so that none with the old ones is left; and so does being remote no
        more, as nothing in a token tells whether it was got from outside.
        """

        def write(session: Session) -> IdentityRow:
            self._state.begin(session)
            row = self._living(session, name)
            loses = row.remote and remote is False
            if roles is not None and _joined(roles) != row.roles:
                self._keep_an_admin(session, row, stays="admin" in roles)
                row.roles, loses = _joined(roles), True
            if loses:
                self._revoke_tokens(session, SUBJECT, row.name, {"identity": row.name})
            row.remote = row.remote if remote is None else remote
            row.description = row.description if description is None else description
            self._rows.sign(row)
            detail = {"roles": row.roles.split(",") if row.roles else [], "remote": row.remote}
            self._record(session, actor, "identities:update", row.name, {**detail, "revoked_tokens": loses})
            return row

        return await self._db.write(write)

    async def revoke(self, name: str, actor: Actor, also: Callable[[Session, str], object]) -> None:
        """End an identity with all its keys and tokens; a second time changes nothing.

        `also` is called in the same transaction, for what else must end with it.
        """

        def write(session: Session) -> None:
            self._state.begin(session)
            row = self._existing(session, name)
            if row.revoked_at is not None:
                self._record(session, actor, "identities:revoke", row.name, {"again": True})
                return
            self._keep_an_admin(session, row, stays=False)
            row.revoked_at = self._clock()
            self._rows.sign(row)
            self._revoke_tokens(session, SUBJECT, row.name, {"identity": row.name})
            self._record(session, actor, "identities:revoke", row.name, {})
            also(session, row.name)

        await self._db.write(write)

    async def create_key(self, name: str, new: NewKey, actor: Actor) -> tuple[ApiKey, ApiKeyRow]:
        """Make a key for an identity. It can be shown now, and never again."""
        return await self._db.write(lambda session: self.create_key_in(session, name, new, actor))

    def create_key_in(
        self, session: Session, name: str, new: NewKey, actor: Actor
    ) -> tuple[ApiKey, ApiKeyRow]:
        """Do what `create_key` does, inside a transaction."""
        self._state.begin(session)
        owner = self._living(session, name).name
        if sum(row.revoked_at is None for row in self._rows.keys_of(session, owner)) >= _KEYS_EACH:
            raise Conflict(f"{owner} has {_KEYS_EACH} keys already. Revoke those that are not used any more.")
        key = ApiKey.generate()
        row = self._rows.sign_key(
            ApiKeyRow(
                key_id=key.key_id,
                identity=owner,
                hash=key.hash,
                label=new.label,
                audiences=_joined(new.audiences),
                created_at=self._clock(),
                created_by=actor.name,
                expires_at=new.expires_at,
                enabled=True,
                revoked_at=None,
                last_used_at=None,
            )
        )
        session.add(row)
        detail = {"key_id": key.key_id, "audiences": list(new.audiences), "expires_at": new.expires_at}
        self._record(session, actor, "keys:create", owner, detail)
        return key, row

    async def enable_key(self, name: str, key_id: str, actor: Actor, *, enabled: bool) -> ApiKeyRow:
        """Honour a key again that a restore disabled, or stop honouring one for now."""

        def write(session: Session) -> ApiKeyRow:
            self._state.begin(session)
            row = self._key(session, name, key_id)
            if row.revoked_at is not None:
                raise Conflict(f"The key {key_id} is revoked, which cannot be undone. Make another.")
            if row.enabled and not enabled:
                self._revoke_tokens(session, KEY, key_id, {"identity": row.identity, "key_id": key_id})
            row.enabled = enabled
            self._rows.sign_key(row)
            action = "keys:enable" if enabled else "keys:disable"
            self._record(session, actor, action, row.identity, {"key_id": key_id})
            return row

        return await self._db.write(write)

    async def revoke_key(self, name: str, key_id: str, actor: Actor) -> None:
        """End a key and the tokens it got; a second time changes nothing."""
        await self._db.write(lambda session: self.revoke_key_in(session, name, key_id, actor))

    def revoke_key_in(self, session: Session, name: str, key_id: str, actor: Actor) -> None:
        """Do what `revoke_key` does, inside a transaction."""
        self._state.begin(session)
        row = self._key(session, name, key_id)
        if row.revoked_at is not None:
            self._record(session, actor, "keys:revoke", row.identity, {"key_id": key_id, "again": True})
            return
        row.revoked_at = self._clock()
        self._rows.sign_key(row)
        self._revoke_tokens(session, KEY, key_id, {"identity": row.identity, "key_id": key_id})
        self._record(session, actor, "keys:revoke", row.identity, {"key_id": key_id})

    def _existing(self, session: Session, name: str) -> IdentityRow:
        row = self._rows.find(session, service_name(name))
        if row is None:
            raise NotFound(f"There is no identity {service_name(name)}.")
        return row

    def _living(self, session: Session, name: str) -> IdentityRow:
        row = self._existing(session, name)
        if row.revoked_at is not None:
            raise Conflict(
                f"{row.name} is revoked, which cannot be undone. Make an identity with another name."
            )
        return row

    def _key(self, session: Session, name: str, key_id: str) -> ApiKeyRow:
        row = self._rows.find_key(session, key_id)
        if row is None or row.identity != service_name(name):
            raise NotFound(f"{service_name(name)} has no key {key_id[:32]}.")
        return row

    def _keep_an_admin(self, session: Session, row: IdentityRow, *, stays: bool) -> None:
        if not stays and self._rows.active_admins(session) == [row.name]:
            raise Conflict(f"{row.name} is the only admin. Make another one first.")

    def _revoke_tokens(self, session: Session, kind: str, value: str, data: dict[str, str]) -> None:
        now = self._clock()
        moment = revocation_moment(now, revocations.standing(session, data["identity"]))
        revocations.revoke(session, kind, value, moment, self._steady() + _OUTLIVES)
        enqueue(session, "identity.revoked", data["identity"], data)

    def _record(
        self, session: Session, actor: Actor, action: str, name: str, detail: Mapping[str, object]
    ) -> None:
        self._audit.record(
            session,
            caller=actor.who,
            action=action,
            target=f"identities/{name}",
            detail={**detail, DETAIL: self._state.said(session)},
            request=actor.request,
        )


def _joined(words: Sequence[str]) -> str:
    return ",".join(sorted(set(words)))
