"""The secrets of this service, live: read from memory, kept current, every version's arrival confirmed.

platform.secrets["DB_PASSWORD"]           # the active version, now
platform.secrets.accepted("JWT_SECRET")   # [(version, value), ...] of all that are honoured, active first
@platform.secrets.on_rotation
async def reopen_pool(version: int) -> None: ...
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from typing import NoReturn

from fountain_common.acknowledgements import Acknowledger, Phase
from fountain_common.errors import Forbidden, NotFound, Problem, Unavailable
from fountain_common.holder import Holder, SecretsSource
from fountain_common.holding import Held, HeldVersion, read_document
from fountain_common.logging import get_logger
from fountain_common.rotation_handlers import FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS, RotationHandler

RENEW_SECONDS = 30.0


class Secrets(Mapping[str, str]):
    """All versions of one service's secrets that the Secrets Manager honours.

    Reading touches memory alone and takes no lock. While the Secrets Manager is away, what is held stays
    valid.

    Args:
        service: whose secrets; our own, or another's that were granted to us.
        instance_id: names this process as a holder.
        peers: the way to the Secrets Manager.
        renew_seconds: the longest time until the Secrets Manager is asked again, with no event to say so.
    """

    def __init__(
        self, service: str, instance_id: str, peers: SecretsSource, *, renew_seconds: float = RENEW_SECONDS
    ) -> None:
        self._service, self._instance_id, self._peers = service, instance_id, peers
        self._renew_seconds = renew_seconds
        self._holder = Holder(service, instance_id, peers)
        self._held = Held()
        self._active: Mapping[str, str] = {}
        self._acknowledger = Acknowledger(service, self._held, self._send)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock, self._granting, self._stopping = asyncio.Lock(), asyncio.Lock(), False
        self._asked = self._answered = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._soon: set[asyncio.Task[None]] = set()
        self._others: dict[str, Secrets] = {}
        self.before_another: Callable[[], Awaitable[None]] | None = None
        """Awaited before another service's secrets are fetched: what happens to them is heard of from then
        on."""
        self.current = False
        """Whether the last attempt to reach the Secrets Manager succeeded."""

    # --- reading --------------------------------------------------------------------------------------------

    def __getitem__(self, key: str) -> str:
        return self._active[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._active)

    def __len__(self) -> int:
        return len(self._active)

    def __repr__(self) -> str:
        return f"<Secrets of {self._service}, version {self.version}, values redacted>"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled: they stay in the memory of this process")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("secrets are not copied: ask for the one that is needed when it is needed")

    __hash__ = None  # type: ignore[assignment]

    @property
    def service(self) -> str:
        """Whose secrets these are."""
        return self._service

    @property
    def version(self) -> int:
        """The active version; 0 before the first were fetched."""
        return self._held.active

    @property
    def versions(self) -> tuple[int, ...]:
        """All versions that are honoured, in the order of `accepted`."""
        return tuple(version.number for version in self._held.in_order)

    def state(self, version: int) -> str:
        """Return `staged`, `active` or `draining`, or `retired` for a version that is not honoured (any
        more).
        """
        found = self._held.versions.get(version)
        return found.state if found is not None else "retired"

    def accepted(self, key: str) -> list[tuple[int, str]]:
        """Return `(version, value)` of every version that is honoured and has the key: active first, then
        staged, then draining.
        """
        return [(each.number, each.values[key]) for each in self._held.in_order if key in each.values]

    def report(self) -> list[HeldVersion]:
        """Return each version's state, what was acknowledged of it and since when it is so; no values."""
        return self._held.report(self._acknowledger.accepts, self._acknowledger.uses)

    async def earlier(self, key: str) -> AsyncIterator[tuple[int, str]]:
        """Fetch `(version, value)` of versions that are honoured no more, the newest first, one at a time.

        For data that was written under a value which was rotated away while no instance was there to write
        it anew. The Secrets Manager keeps a retired version until it is destroyed, and records who reads it.

        Raises:
            Unavailable, Forbidden: a version cannot be fetched now.
        """
        for number in range(max(self.versions, default=0), 0, -1):
            if number in self._held.versions:
                continue
            response = await self._holder.read_version(number)
            if response.status_code in (404, 410):
                continue  # destroyed
            if response.status_code != 200:
                raise _problem(self._service, response.status_code)
            value = response.json()["secrets"].get(key)
            if value is not None:
                yield number, str(value)

    # --- acting ---------------------------------------------------------------------------------------------

    def on_rotation(self, handler: RotationHandler) -> RotationHandler:
        """Have `async handler(version)` run whenever another version became active.

        `uses` is acknowledged once all handlers have succeeded; one that raises is tried again, and until it
        succeeds the old version stays honoured. One that still runs when yet another version becomes active
        is cancelled, and run for that one.
        """
        return self._acknowledger.on_rotation(handler)

    async def granted(self, service: str) -> "Secrets":
        """Return another service's secrets, which were granted to us, and keep them current like our own.

        Raises:
            Forbidden, NotFound: they are not ours to read, or do not exist.
            Unavailable: they cannot be fetched now.
        """
        if service == self._service:
            return self
        held = self._others.get(service)
        if held is not None and held.version:
            return held
        self._be_here()
        async with self._granting:
            if service not in self._others:
                await self._hold(service)
            return self._others[service]

    async def _hold(self, service: str) -> None:
        other = Secrets(service, self._instance_id, self._peers, renew_seconds=self._renew_seconds)
        self._others[service] = other
        try:
            if self.before_another is not None:
                await self.before_another()
            await other.fetch()
            if self._stopping:
                raise Unavailable("This service is stopping.")
        except BaseException:
            del self._others[service]
            await other.stop()
            raise
        await other.start()

    def services(self) -> list[str]:
        """Return whose secrets are held here: our own, and those that were granted and asked for."""
        return [self._service, *self._others]

    async def start(self) -> None:
        """Fetch what there is, if nothing is held yet with patience, and keep current in the background."""
        if self._tasks:
            return
        self._stopping = False
        with suppress(Problem):
            await self.fetch()
        self._tasks = [asyncio.create_task(self._keep_current(), name=f"secrets of {self._service}")]
        await self._acknowledger.start()

    def _be_here(self) -> None:
        # A lock belongs to its event loop. Within one it is never another: somebody may hold it.
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._lock, self._granting = loop, asyncio.Lock(), asyncio.Lock()

    async def stop(self) -> None:
        """End, and say goodbye, so that no rotation waits for us."""
        self._stopping = True
        # Its handlers may be asking for another's secrets.
        await self._acknowledger.stop()
        for other in list(self._others.values()):
            await other.stop()
        tasks = [*self._tasks, *self._soon]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks = []
        await self._holder.leave()

    def refresh_soon(self, service: str | None = None) -> None:
        """Fetch again behind the caller's back: an event says that something has changed.

        Args:
            service: whose secrets have changed; None is all that are held.
        """
        for one in (self, *self._others.values()):
            if service is None or service == one.service:
                task = asyncio.create_task(one.refresh())
                self._soon.add(task)
                task.add_done_callback(self._soon.discard)

    async def refresh(self) -> None:
        """Fetch again; what is held stays if that fails, and `current` tells."""
        with suppress(Problem):
            await self.fetch()

    async def fetch(self) -> None:
        """Fetch what is current. One request serves all who asked before it was sent.

        Raises:
            Problem: it could not be fetched; what is held stays.
        """
        self._be_here()
        self._asked += 1
        mine = self._asked
        async with self._lock:
            if self._answered >= mine:
                return
            covered = self._asked
            try:
                await self._fetch()
            except Problem:
                self.current = False
                raise
            except Exception as error:  # noqa: BLE001 - see below
                # Such as an answer that cannot be read: no reason to lose what is held.
                self.current = False
                get_logger().error("secrets_not_understood", of=self._service, error=type(error).__name__)
                raise Unavailable(f"The secrets of {self._service} could not be read.") from None
            self._answered = covered
            self.current = True

    async def _fetch(self) -> None:
        response = await self._holder.read()
        if response.status_code == 304:
            return
        if response.status_code != 200:
            raise _problem(self._service, response.status_code)
        document = read_document(response.json())
        before = self._held.active
        if not self._held.take(document):
            get_logger().warning("older_secrets_ignored", of=self._service, version=document.active)
            return
        self._active = self._held.versions[document.active].values
        self._holder.keep(response.headers.get("etag"))
        # A full answer may also mean that we were forgotten as a holder: all is acknowledged again.
        self._acknowledger.held_anew(first=before == 0)
        get_logger().info(
            "secrets_held",
            of=self._service,
            version=document.active,
            states=self._held.states(),
            before=before,
        )

    async def _keep_current(self) -> None:
        failures = 0
        while True:
            pause = (
                self._renew_seconds
                if self.current
                else min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2**failures)
            )
            await asyncio.sleep(pause * (0.8 + 0.2 * random.random()))  # noqa: S311 - spreads load
            await self.refresh()
            failures = 0 if self.current else min(failures + 1, 10)

    # --- acknowledging --------------------------------------------------------------------------------------

    async def _send(self, version: int, phase: Phase) -> bool:
        status = await self._holder.acknowledge(version, phase)
        if status in (200, 204):
            return True
        if status in (404, 409, 410):
            # The version has gone, or we are not known as a holder: the full state says what is to be
            # acknowledged.
            self._holder.forget()
            await self.fetch()
            if version in self._held.versions:
                raise Unavailable(f"The acknowledgement was refused with {status}.")
            return False
        raise Unavailable(f"The acknowledgement was answered with {status}.")


def _problem(service: str, status: int) -> Problem:
    if status == 404:
        return NotFound(f"There are no secrets of {service}.")
    if status in (401, 403):
        return Forbidden(f"The Secrets Manager does not let this service read the secrets of {service}.")
    return Unavailable(f"The Secrets Manager answered {status} for the secrets of {service}.")
