"""Making and rotating secrets: each is one transaction with its audit record and its events."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fountain_common.errors import BadRequest, Conflict, NotFound, Unprocessable
from fountain_common.logging import get_logger
from fountain_common.requests import current
from sqlalchemy.orm import Session

from secrets_manager import idempotency, values, views
from secrets_manager import repository_secrets as secrets
from secrets_manager.access import Access
from secrets_manager.audit import Audit
from secrets_manager.changes import Changes
from secrets_manager.generate import generate_for
from secrets_manager.idempotency import Done
from secrets_manager.intents import Intent, Wish
from secrets_manager.models_secrets import SecretRow, SecretVersionRow
from secrets_manager.recording import Record, recorder
from secrets_manager.rotating import Rotating
from secrets_manager.rotation import VersionState
from secrets_manager.service_lifecycle import existing
from secrets_manager.values import InvalidSecretError, UnchangedError, Values
from secrets_manager.vault import Vault

ACTIVATION_SECONDS: Final = 5.0
_UNCHANGED: Final = "No value would change. Name in `keys` what should get a new value, or give other values."


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
    rotating: Rotating
    vault: Vault
    access: Access
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
        return await self._outcome(intent, service_name, done)

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
        record(session, operation="create", version=1, **self.vault.described(made))
        return True

    def complete(
        self, session: Session, service_name: str, generated: Sequence[str], intent: Intent, record: Record
    ) -> bool:
        """Begin a rotation to generated keys that the secret lacks, in the caller's transaction.

        False if it lacks none, or is revoked. What else is in the way is logged, and never the start's end.
        """
        wish = Wish(
            service_name, intent, lambda base: values.completed(base, generated, generate_for), record
        )
        (outcome,) = self.rotating.begin_in(session, [wish])
        if not isinstance(outcome, Exception):
            return True
        if not isinstance(outcome, UnchangedError | NotFound):
            get_logger().error("generated_keys_not_added", secret_of=service_name, exc_info=outcome)
        return False

    async def rotate(
        self, intent: Intent, service_name: str, given: Mapping[str, str], keys: Sequence[str] | None
    ) -> Outcome:
        """Begin a rotation to generated and given values, and wait a while for it to be active."""
        _check(given)
        return await self._change(
            intent, service_name, given, lambda base: values.rotated(base, given, keys, generate_for)
        )

    async def replace(self, intent: Intent, service_name: str, given: Mapping[str, str]) -> Outcome:
        """Begin a rotation to exactly the given values, and wait a while for it to be active."""
        _check(given)
        return await self._change(intent, service_name, given, lambda base: values.replaced(base, given))

    def rotate_in(self, session: Session, wish: Wish) -> None:
        """Begin a rotation in the caller's transaction."""
        (outcome,) = self.rotating.begin_in(session, [wish])
        if isinstance(outcome, Exception):
            raise outcome

    def recorder(self, intent: Intent, service_name: str) -> Record:
        """Return what records this change."""
        action = "secrets:write" if intent.operation in {"create", "replace"} else "secrets:rotate"
        return recorder(self.audit, intent.caller, action, f"secrets/{service_name}")

    async def _change(
        self,
        intent: Intent,
        service_name: str,
        given: Mapping[str, str],
        change: Callable[[Values], Values],
    ) -> Outcome:
        record = self.recorder(intent, service_name)
        size = sum(len(value.encode()) for value in given.values())
        try:
            granted = await self.rotating.begin(Wish(service_name, intent, change, record, size))
        except UnchangedError as failure:
            raise Conflict(_UNCHANGED) from failure
        except InvalidSecretError as failure:
            raise Unprocessable(str(failure)) from failure
        done, state = granted.done, granted.state
        if state is None or granted.values is None or state is VersionState.STAGED:
            return await self._outcome(intent, service_name, done, ACTIVATION_SECONDS)
        return Outcome(service_name, done.version, state, done.rotation_id, granted.values.by_key)

    async def _outcome(self, intent: Intent, service_name: str, done: Done, patience: float = 0.0) -> Outcome:
        """Describe a version, once it is staged no more or patience is at its end.

        What was asked for before changes nothing now, so that no record of a change tells who gets it: it is
        a reading, of what can still be read, and recorded as one before it is answered.
        """

        def read(session: Session) -> Outcome:
            if done.replayed:
                existing(session, service_name)
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

        outcome = await self.changes.until(
            service_name, read, lambda outcome: outcome.state is not VersionState.STAGED, patience
        )
        if done.replayed:
            await self._record_replay(intent, outcome)
        return outcome

    async def _record_replay(self, intent: Intent, outcome: Outcome) -> None:
        detail: dict[str, object] = {"version": outcome.version, "replay_of": intent.operation}
        if intent.caller is not None and not self.access.sees_values(intent.caller, outcome.service_name):
            detail["values"] = False
        await self.audit.append(
            caller=intent.caller,
            action="secrets:read",
            target=f"secrets/{outcome.service_name}",
            detail=detail,
            request=current(),
        )


def _check(given: Mapping[str, str]) -> None:
    try:
        values.check(given)
    except InvalidSecretError as failure:
        raise Unprocessable(str(failure)) from failure
