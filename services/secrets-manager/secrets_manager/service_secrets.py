"""Making and rotating secrets: each is one transaction with its audit record and its events."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fountain_common.auth import Caller
from fountain_common.errors import BadRequest, Conflict, NotFound, PreconditionFailed, Unprocessable
from sqlalchemy.orm import Session

from secrets_manager import idempotency, repository_facts, transitions, values, views
from secrets_manager import repository_secrets as secrets
from secrets_manager.audit import Audit
from secrets_manager.changes import Changes
from secrets_manager.generate import generate_for
from secrets_manager.idempotency import Done, IdempotencyKey
from secrets_manager.models_secrets import SecretRow, SecretVersionRow
from secrets_manager.preconditions import matches
from secrets_manager.recording import Record, recorder
from secrets_manager.repository_policies import policy_of
from secrets_manager.rotation import Rotation, RotationState, VersionState
from secrets_manager.service_lifecycle import existing
from secrets_manager.values import InvalidSecretError, UnchangedError, Values
from secrets_manager.vault import Vault

ACTIVATION_SECONDS: Final = 5.0
_UNCHANGED: Final = "No value would change. Name in `keys` what should get a new value, or give other values."


@dataclass(frozen=True)
class Intent:
    """A change that a caller asks for (None: the service itself), and under which conditions."""

    caller: Caller | None
    operation: str = "rotate"
    key: IdempotencyKey | None = None
    if_match: str | None = None
    immediate: bool = False

    @property
    def by(self) -> str:
        """Who asks."""
        return "secrets-manager" if self.caller is None else self.caller.subject


@dataclass(frozen=True)
class Outcome:
    """What became of a change: the new version, its values, and how far it has come."""

    service_name: str
    version: int
    state: VersionState
    rotation_id: str | None
    values: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class SecretsService:
    """Makes versions; who may ask for them is decided before."""

    changes: Changes
    vault: Vault
    audit: Audit
    clock: Callable[[], float]

    async def create(
        self, intent: Intent, service_name: str, given: Mapping[str, str], also_generated: Sequence[str]
    ) -> Outcome:
        """Make the first version of a secret; BadRequest if there is one, revoked or not."""
        _check(given)
        record = self.recorder(intent, service_name)

        def run(session: Session) -> Done:
            now = self.clock()
            done = idempotency.recall(session, intent.key, now)
            if done is None:
                if not self.create_first(session, service_name, given, also_generated, intent.by, record):
                    raise BadRequest(
                        "This service has a secret already: rotate or replace it, or restore it."
                    )
                done = Done(1, None)
                idempotency.remember(session, intent.key, service_name, done, now)
            return done

        done = await self.changes.commit(service_name, run)
        return await self._outcome(service_name, done)

    def create_first(
        self,
        session: Session,
        service_name: str,
        given: Mapping[str, str],
        also_generated: Sequence[str],
        by: str,
        record: Record,
    ) -> bool:
        """Make the first version in the caller's transaction; False if there is one."""
        if secrets.find(session, service_name) is not None:
            return False
        now = self.clock()
        made = values.first(given, also_generated, generate_for)
        session.add(
            SecretRow(
                service_name=service_name, newest_version=1, created_at=now, updated_at=now, revoked_at=None
            )
        )
        session.flush()
        session.add(
            SecretVersionRow(
                service_name=service_name,
                version=1,
                state=str(VersionState.ACTIVE),
                sealed=self.vault.seal(service_name, 1, made),
                created_at=now,
                created_by=by,
                changed_at=now,
            )
        )
        record(session, operation="create", version=1, **self._described(made))
        return True

    async def rotate(
        self, intent: Intent, service_name: str, given: Mapping[str, str], keys: Sequence[str] | None
    ) -> Outcome:
        """Begin a rotation to generated and given values, and wait a while for it to be active."""
        _check(given)
        return await self._change(
            intent, service_name, lambda base: values.rotated(base, given, keys, generate_for)
        )

    async def replace(self, intent: Intent, service_name: str, given: Mapping[str, str]) -> Outcome:
        """Begin a rotation to exactly the given values, and wait a while for it to be active."""
        _check(given)
        return await self._change(intent, service_name, lambda base: values.replaced(base, given))

    def rotate_in(
        self,
        session: Session,
        service_name: str,
        change: Callable[[Values], Values],
        intent: Intent,
        record: Record,
    ) -> Rotation:
        """Begin a rotation in the caller's transaction."""
        now = self.clock()
        secret = existing(session, service_name)
        held = secrets.held_versions(session, [service_name])[service_name]
        _check_if_match(session, held, intent.if_match)
        by_state = {row.state: row for row in held}
        active = by_state.get(VersionState.ACTIVE)
        if active is None:
            raise Conflict("No version of this secret is active.")
        # What is staged goes on in its successor: a value that somebody chose a moment ago is not lost.
        base = by_state.get(VersionState.STAGED, active)
        made = change(views.open_values(self.vault, base))
        policy = policy_of(session, service_name)
        rotation = Rotation(
            rotation_id=str(uuid.uuid4()),
            service_name=service_name,
            version=secret.newest_version + 1,
            previous_version=active.version,
            state=RotationState.STAGED,
            overdue=False,
            created_at=now,
            deadline_at=now + policy.deadline_seconds,
            deadline_seconds=policy.deadline_seconds,
            overlap_seconds=policy.overlap_seconds,
            reason=intent.operation,
        )
        sealed = self.vault.seal(service_name, rotation.version, made)
        transitions.begin(session, secret, sealed, rotation, immediate=intent.immediate, by=intent.by)
        record(
            session,
            operation=intent.operation,
            immediate=intent.immediate,
            rotation_id=rotation.rotation_id,
            version=rotation.version,
            **self._described(made),
        )
        return rotation

    def recorder(self, intent: Intent, service_name: str) -> Record:
        """Return what records this change."""
        action = "secrets:write" if intent.operation in {"create", "replace"} else "secrets:rotate"
        return recorder(self.audit, intent.caller, action, f"secrets/{service_name}")

    async def _change(self, intent: Intent, service_name: str, change: Callable[[Values], Values]) -> Outcome:
        record = self.recorder(intent, service_name)

        def run(session: Session) -> Done:
            now = self.clock()
            done = idempotency.recall(session, intent.key, now)
            if done is None:
                rotation = self.rotate_in(session, service_name, change, intent, record)
                done = Done(rotation.version, rotation.rotation_id)
                idempotency.remember(session, intent.key, service_name, done, now)
            return done

        try:
            done = await self.changes.commit(service_name, run)
        except UnchangedError as failure:
            raise Conflict(_UNCHANGED) from failure
        except InvalidSecretError as failure:
            raise Unprocessable(str(failure)) from failure
        return await self._outcome(service_name, done, ACTIVATION_SECONDS)

    async def _outcome(self, service_name: str, done: Done, patience: float = 0.0) -> Outcome:
        """Describe a version, once it is staged no more or patience is at its end."""

        def read(session: Session) -> Outcome:
            row = secrets.version(session, service_name, done.version)
            if row is None:
                raise NotFound(f"There is no version {done.version} of the secret of {service_name}.")
            return Outcome(
                service_name,
                row.version,
                VersionState(row.state),
                done.rotation_id,
                views.open_values(self.vault, row).by_key,
            )

        return await self.changes.until(
            service_name, read, lambda outcome: outcome.state is not VersionState.STAGED, patience
        )

    def _described(self, made: Values) -> dict[str, object]:
        return {"keys": sorted(made.by_key), "digest": self.vault.digest(dict(made.by_key)).hex()}


def _check(given: Mapping[str, str]) -> None:
    try:
        values.check(given)
    except InvalidSecretError as failure:
        raise Unprocessable(str(failure)) from failure


def _check_if_match(session: Session, held: Sequence[SecretVersionRow], if_match: str | None) -> None:
    if if_match is None:
        return
    now = views.etag(repository_facts.epoch(session), [(row.version, row.state) for row in held])
    if not matches(if_match, now):
        raise PreconditionFailed("The secret has changed since you read it. Read it again and decide anew.")
