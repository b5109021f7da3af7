"""Puts the secrets half together; main.py takes it from here."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fountain_common.auth import Caller
from fountain_common.db import Database
from fountain_common.errors import Conflict, Unavailable
from fountain_common.logging import get_logger
from fountain_common.outbox import OutboxDispatcher, Publish, PublishAll
from fountain_common.requests import current
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session

from secrets_manager import repository_facts, service_holders, vault
from secrets_manager.access import Access, Grants
from secrets_manager.audit import Audit
from secrets_manager.changes import Changes
from secrets_manager.driver import Driver
from secrets_manager.holders import Presence
from secrets_manager.intents import Intent
from secrets_manager.kek import KeyEncryptionKey, KeyRefusedError
from secrets_manager.keyring import Keyring
from secrets_manager.keyring_store import SealedColumn, rotate_key_encryption_key
from secrets_manager.rotating import Rotating
from secrets_manager.row_mac import RowMacs
from secrets_manager.service_grants import GrantsService
from secrets_manager.service_holders import HoldersService
from secrets_manager.service_lifecycle import LifecycleService
from secrets_manager.service_listing import ListingService
from secrets_manager.service_policies import PoliciesService
from secrets_manager.service_reading import ReadingService
from secrets_manager.service_rotations import RotationsService
from secrets_manager.service_secrets import SecretsService
from secrets_manager.settings import Settings
from secrets_manager.vault import Vault
from secrets_manager.views import Views


@dataclass
class SecretsParts:
    """Everything about secrets that a running secrets manager has; routes find it in
    `app.state.secrets_parts`.
    """

    database: Database
    keyring: Keyring
    kek: KeyEncryptionKey
    sealed: Sequence[SealedColumn]
    generated: Mapping[str, Sequence[str]]
    vault: Vault
    changes: Changes
    presence: Presence
    access: Access
    secrets: SecretsService
    lifecycle: LifecycleService
    reading: ReadingService
    listing: ListingService
    holders: HoldersService
    rotations: RotationsService
    policies: PoliciesService
    grants: GrantsService
    driver: Driver
    audit: Audit
    clock: Callable[[], float]
    _rewrapping: bool = field(default=False)

    async def record_reading(self, caller: Caller, action: str, target: str, **detail: object) -> None:
        """Put on record what is about to be answered; return once that is durable.

        Raises:
            Unavailable: it was not written, so that nothing may be answered.
        """
        await self.audit.append(caller=caller, action=action, target=target, detail=detail, request=current())

    def provide(self, session: Session, service_name: str, *, generated: Sequence[str] = ()) -> bool:
        """Make the first secret of a service, or begin a rotation to the generated keys that it lacks.

        In the caller's transaction, at the start. Tells whether anything was done.
        """
        intent = Intent(None, "create")
        record = self.secrets.recorder(intent, service_name)
        if self.secrets.create_first(session, service_name, {}, generated, intent.by, record):
            return True
        if not generated:
            return False
        intent = Intent(None, "complete")
        record = self.secrets.recorder(intent, service_name)
        return self.secrets.complete(session, service_name, generated, intent, record)

    def changed(self, service_name: str) -> None:
        """Take note of a committed change that was made past `changes`."""
        self.changes.changed(service_name, self.clock())

    def forget_identity(self, session: Session, identity: str) -> None:
        """Delete what a revoked identity's instances hold, in the transaction that revokes it."""
        service_holders.forget_identity(session, identity, self.clock())

    def identity_forgotten(self, identity: str) -> None:
        """Forget them in memory too, once `forget_identity` is committed."""
        gone = self.presence.of_identity(identity)
        self.presence.remove(gone)
        for service_name in {key.service_name for key in gone}:
            self.changes.changed(service_name, self.clock())

    async def rotate_key_encryption_key(self, caller: Caller) -> int:
        """Replace the key-encryption key and wrap every data key anew; return how many.

        Raises:
            Conflict: one runs already.
            Unavailable: the key's provider does not answer; what is stored opens as before.
        """
        if self._rewrapping:
            raise Conflict("The key-encryption key is being replaced already.")
        self._rewrapping = True
        try:
            # Before it is done: a key that was replaced without a record would be worse than a record of
            # an attempt.
            await self.audit.append(
                caller=caller, action="kek:rotate", target="key-encryption-key", request=current()
            )
            return await rotate_key_encryption_key(self.database, self.kek, self.keyring, self.sealed)
        except KeyRefusedError as failure:
            get_logger().error("key_encryption_key_not_replaced", reason=str(failure))
            raise Unavailable(
                "The key-encryption key cannot be replaced now; the log says why. Everything that is stored "
                "opens as before. Do it again to finish."
            ) from failure
        finally:
            self._rewrapping = False

    @asynccontextmanager
    async def running(
        self,
        publish: Publish,
        registry: CollectorRegistry | None = None,
        *,
        publish_all: PublishAll | None = None,
    ) -> AsyncIterator[None]:
        """Load what is kept in memory and run the workers; `publish` and `publish_all` take the events to the
        notification service.
        """
        await self.database.write(
            lambda session: repository_facts.epoch(session) or repository_facts.new_epoch(session)
        )
        await self.grants.load()
        outbox = OutboxDispatcher(self.database, publish, publish_all=publish_all, registry=registry)
        await self.driver.start()
        await outbox.start()
        try:
            yield
        finally:
            await outbox.stop()
            await self.driver.stop()

    @property
    def health_checks(self) -> list[tuple[str, Callable[[], Awaitable[bool]]]]:
        """What must be well for secrets to be."""
        return [("rotation-driver", self._check_driver), ("grants", self.grants.check)]

    async def _check_driver(self) -> bool:
        return self.driver.is_running()


def build_secrets_parts(
    *,
    settings: Settings,
    db: Database,
    keyring: Keyring,
    kek: KeyEncryptionKey,
    audit: Audit,
    row_macs: RowMacs,
    sealed: Sequence[SealedColumn],
    clock: Callable[[], float],
    wall: Callable[[], float] | None = None,
    presence: Presence | None = None,
) -> SecretsParts:
    """Make the secrets half.

    Args:
        settings: name the keys that are generated for a service besides the two that all have.
        db: migrated already.
        keyring, kek: as keyring_store.py opened them.
        audit, row_macs: of this database.
        sealed: the columns of the other half that take part in re-wrapping.
        clock: seconds since 1970, by which waiting times are measured.
        wall: seconds since 1970, by which schedules are kept; `clock` if not given.
        presence: how long holders count that are not heard of.
    """
    safe = Vault(keyring)
    views = Views(db, safe)
    changes = Changes(db, views)
    alive = Presence(settings.holder_seconds) if presence is None else presence
    granted = Grants()
    access = Access(granted)
    rotating = Rotating(changes, safe, audit, clock, alive)
    secrets = SecretsService(changes, rotating, safe, access, audit, clock)
    policies = PoliciesService(changes, secrets, audit, wall or clock)
    return SecretsParts(
        database=db,
        keyring=keyring,
        kek=kek,
        sealed=(vault.SEALED, *sealed),
        generated={wanted.name: wanted.generated for wanted in settings.wanted},
        vault=safe,
        changes=changes,
        presence=alive,
        access=access,
        secrets=secrets,
        lifecycle=LifecycleService(changes, audit, clock),
        reading=ReadingService(views, safe, changes, alive, access, audit, clock),
        listing=ListingService(changes, audit),
        holders=HoldersService(changes, alive, audit, clock),
        rotations=RotationsService(changes, audit, clock),
        policies=policies,
        grants=GrantsService(changes, granted, row_macs, alive, audit, clock),
        driver=Driver(changes, alive, policies, clock),
        audit=audit,
        clock=clock,
    )
