"""Everything that the secrets manager is made of, opened in the one order that is safe, and closed again."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Final

from fountain_common.db import Database
from fountain_common.errors import Unavailable
from fountain_common.events import Events
from fountain_common.health import Health
from fountain_common.http import Peers
from fountain_common.journal import move_journal_rarely
from fountain_common.metrics import Metrics
from sqlalchemy.orm import Session

from secrets_manager import anchor_log, platform_keys, refusals, repository_identities
from secrets_manager.alarms import Alarms
from secrets_manager.anchor_log import AnchorLog
from secrets_manager.anchoring import Anchoring
from secrets_manager.anchors import Anchors
from secrets_manager.audit import Audit
from secrets_manager.audit_reading import AuditReading
from secrets_manager.audit_segments import Segments
from secrets_manager.audit_verify import Report
from secrets_manager.authentication import Authenticator
from secrets_manager.background import cancelled, repeated
from secrets_manager.genuine_rows import GenuineRows
from secrets_manager.identities import Identities
from secrets_manager.issuance import Issuance
from secrets_manager.kek import KeyEncryptionKey
from secrets_manager.kek_provider import key_encryption_key
from secrets_manager.keyring import Keyring
from secrets_manager.keyring_store import open_keyring
from secrets_manager.parts import SecretsParts, build_secrets_parts
from secrets_manager.reconcile import Folders, Reconciler
from secrets_manager.repository_identities import IdentityRows
from secrets_manager.row_mac import RowMacs
from secrets_manager.row_state import RowState
from secrets_manager.scrub import Scrub
from secrets_manager.sealed_columns import SEALED
from secrets_manager.settings import Settings
from secrets_manager.signing_key_store import SigningKeys
from secrets_manager.steady import SteadyClock
from secrets_manager.throttle import FailureThrottle
from secrets_manager.trust import Authority, Leaf, server_context
from secrets_manager.verifying import Verifying
from secrets_manager.writer_lock import WriterLock

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_HOUSEKEEPING_SECONDS: Final = 10.0
#: After each millisecond of going over the audit unasked.
_BREATHER_SECONDS: Final = 0.01
_DAY: Final = 86400.0


class Core:
    """The secrets manager without its routes. Its parts exist between `open` and `close`.

    Attributes:
        tls: the context that the server serves with; it has a certificate once this is open.
        unauthenticated: counts the requests that were refused with a 401.
    """

    db: Database
    kek: KeyEncryptionKey
    keyring: Keyring
    audit: Audit
    audit_reading: AuditReading
    verifying: Verifying
    anchors: Anchors
    anchor_log: AnchorLog
    anchoring: Anchoring
    segments: Segments
    authority: Authority
    signing_keys: SigningKeys
    rows: IdentityRows
    identities: Identities
    authenticator: Authenticator
    issuance: Issuance
    secrets: SecretsParts

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self.settings, self.clock, self.steady = settings, clock, SteadyClock(clock)
        self.tls: ssl.SSLContext = server_context()
        self.changed: list[Callable[[], Awaitable[None]]] = []
        self.unauthenticated = FailureThrottle()
        self._leaf: Leaf | None = None
        self._open = False
        self._stack = AsyncExitStack()

    async def open(self, events: Events, peers: Peers, health: Health, metrics: Metrics) -> None:
        """Open the store and serve from it.

        KeyRefusedError, before anything is written, if its key is not the one.
        """
        async with AsyncExitStack() as stack:
            await self._open_store(stack)
            await self._open_audit(stack, AnchorLog(peers, events.publish), metrics)
            await self._open_identities()
            await self._open_secrets(stack, events, metrics)
            self._watch(health)
            self._stack = stack.pop_all()
        self._open = True

    async def last_anchor(self) -> None:
        """Anchor what was written until now, while peers can still be asked."""
        if self._open:
            await self.anchoring.finish()

    async def close(self) -> None:
        """Write what waits, and let go of the store."""
        self._open = False
        await self._stack.aclose()

    def require_open(self) -> None:
        """Raise Unavailable while this is not open."""
        if not self._open:
            raise Unavailable("The secrets manager is starting or stopping.")

    def require_signing(self) -> None:
        """Raise Unavailable until there is a key to sign with.

        The secrets manager's own tokens are needed while it opens.
        """
        if not hasattr(self, "issuance"):
            raise Unavailable("The secrets manager is starting.")

    async def revocations(self) -> dict[str, Any]:
        """Return the revocations as verifiers read them."""
        self.require_open()
        now, steady = self.clock(), self.steady()
        rows = await self.db.read(lambda session: repository_identities.revocations(session, steady))
        entries = [{row.kind: row.value, "not_before": row.not_before} for row in rows]
        return {"issued_at": int(now), "revocations": entries}

    async def trust_changed(self) -> None:
        """Have this process honour new signing keys and revocations at once."""
        for listener in self.changed:
            await listener()

    async def _open_store(self, stack: AsyncExitStack) -> None:
        settings = self.settings
        self.db = Database(settings.effective_database_url, password=settings.database_password)
        move_journal_rarely(self.db)
        stack.push_async_callback(self.db.close)
        lock = WriterLock(self.db, settings.data_dir)
        await lock.acquire()
        stack.callback(lock.release)
        self.lock = lock
        stack.push_async_callback(cancelled, [asyncio.create_task(lock.watch(), name="writer-lock")])
        self.kek = key_encryption_key(settings)
        self.keyring = await open_keyring(self.db, self.kek, MIGRATIONS)
        self.macs = RowMacs(self.keyring.derive("row-mac"))

    async def _open_audit(self, stack: AsyncExitStack, log: AnchorLog, metrics: Metrics) -> None:
        self.audit = Audit(self.db, self.keyring.derive("audit"), registry=metrics.registry, clock=self.clock)
        stack.push_async_callback(self.audit.close)
        await self.db.write(anchor_log.drop_waiting)
        key = await self.db.write(
            lambda session: platform_keys.audit_key(session, self.keyring, self.clock())
        )
        self.anchors = Anchors(self.db, key, self.audit.chain, self.settings.data_dir, clock=self.clock)
        self.anchor_log = log
        self.anchoring = Anchoring(self.db, self.anchors, log, every=self.settings.anchor_seconds)
        self.row_state = RowState(self.macs, self.audit)
        self.segments = Segments(self.db, self.audit, key, rows=self.row_state, clock=self.clock)
        self.audit_reading = AuditReading(self.db)
        self.verifying = Verifying(
            self.db, self.audit.chain, self.anchors, self.segments, self.row_state.finding
        )
        self._scrub = Scrub(self._look_at_piece, monotonic=time.monotonic)

    async def _open_identities(self) -> None:
        self.authority = await self.db.write(
            lambda session: platform_keys.authority(session, self.keyring, self.clock())
        )
        self._renew_leaf()
        self.signing_keys = SigningKeys(
            self.db,
            self.keyring,
            self.macs,
            self.audit,
            max_age=self.settings.signing_key_days * _DAY,
            clock=self.steady,
        )
        await self.signing_keys.load()
        self.rows = IdentityRows(self.macs)
        self.identities = Identities(self.db, self.rows, self.audit, clock=self.clock, steady=self.steady)
        self.authenticator = Authenticator(self.db, self.rows, clock=self.clock)
        self.issuance = Issuance(
            self.settings.issuer_url,
            self.authenticator,
            self.signing_keys,
            self.audit,
            self.db,
            FailureThrottle(),
            clock=self.clock,
        )

    async def _open_secrets(self, stack: AsyncExitStack, events: Events, metrics: Metrics) -> None:
        self.secrets = build_secrets_parts(
            settings=self.settings,
            db=self.db,
            keyring=self.keyring,
            kek=self.kek,
            audit=self.audit,
            row_macs=self.macs,
            sealed=SEALED,
            clock=self.steady,
            wall=self.clock,
        )
        folders = Folders(self.settings.identities_dir, self.settings.admin_dir, self.settings.trust_dir)
        reconciler = Reconciler(self.db, self.rows, self.identities, self.secrets, folders, clock=self.clock)
        await self.db.write(self.row_state.adopt)
        await reconciler.run(self.settings.wanted, self.authority.pem)
        await stack.enter_async_context(
            self.secrets.running(events.publish, metrics.registry, publish_all=events.publish_all)
        )
        alarms = Alarms(
            self.db,
            writable=self._audit_is_writable,
            verified=self._audit_verifies,
            registry=metrics.registry,
        )
        tasks = [
            asyncio.create_task(repeated(alarms.look, _HOUSEKEEPING_SECONDS), name="alarms"),
            asyncio.create_task(repeated(self._keep_house, _HOUSEKEEPING_SECONDS), name="housekeeping"),
            asyncio.create_task(self.anchoring.run(), name="anchors"),
        ]
        stack.push_async_callback(self._end, tasks)

    def _watch(self, health: Health) -> None:
        health.add("database", self.db.check)
        health.add("writer-lock", self.lock.check)
        health.add("audit", self._audit_is_writable)
        health.add("audit-anchors", self.anchoring.is_undoubted)
        health.add("identities", GenuineRows(self.db, self.rows, self.row_state).check)
        for name, check in self.secrets.health_checks:
            health.add(name, check)

    async def _audit_is_writable(self) -> None:
        await self.db.write(self.audit.check)

    async def _audit_verifies(self) -> bool:
        return await self._scrub.intact() and await self.anchoring.is_undoubted()

    async def _look_at_piece(self, after: int | None, count: int) -> Report:
        return await self.verifying.look(after=after, limit=count, pause=_BREATHER_SECONDS)

    def _renew_leaf(self) -> None:
        if self._leaf is None or self._leaf.is_due(self.clock()):
            self._leaf = self.authority.issue(self.clock())
            self._leaf.load_into(self.tls)

    async def _keep_house(self) -> None:
        self._renew_leaf()
        await self.authenticator.write_last_used()
        if await self.signing_keys.tick():
            await self.trust_changed()
        now = self.steady()

        def prune(session: Session) -> None:
            repository_identities.prune_revocations(session, now)

        await self.db.write(prune)
        await self._report_refusals()

    async def _report_refusals(self, *, silent_seconds: float | None = None) -> None:
        await self.issuance.report_refusals(silent_seconds=silent_seconds)
        await refusals.report(
            self.audit,
            self.unauthenticated,
            "requests:authenticate",
            time.monotonic(),
            silent_seconds=silent_seconds,
        )

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        await cancelled(tasks)
        with suppress(Unavailable):  # also for a head that was altered, which health has said
            await self.authenticator.write_last_used()
            await self._report_refusals(silent_seconds=0.0)
            await self.anchoring.anchor()
