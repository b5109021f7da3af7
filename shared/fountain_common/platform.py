"""A service's platform: its parts, and their life from start to stop."""

import asyncio
from contextlib import suppress
from typing import Any, Unpack

from fountain_common.directory import GATEWAY
from fountain_common.event import Event
from fountain_common.issuer import NAME as SECRETS_MANAGER
from fountain_common.logging import get_logger
from fountain_common.parts import Assembly, Parts
from fountain_common.settings import ServiceSettings

__all__ = ["Parts", "Platform", "create_platform", "hand_over"]

STREAM_SECONDS = 1.0
KEYS_SECONDS = 3.0
"""How long a start waits for the stream of events, and for signing keys: their services may be away, and this
one starts all the same.
"""
AT_ONCE_SECONDS = 0.2
"""The same for those whom the others need in order to start: who has no secrets to fetch serves first."""


class Platform(Assembly):
    """See the module; made by `create_platform`.

    Attributes:
        stopping: is set when the service is about to end; whoever holds a response open ends it then.
    """

    def __init__(self, settings: ServiceSettings, parts: Parts) -> None:
        super().__init__(settings, parts)
        self.stopping = asyncio.Event()
        self._stage = "made"
        self._entering: asyncio.Task[None] | None = None
        self._follow()

    def __repr__(self) -> str:
        return f"<Platform of {self.settings.service_name}, {self._stage}>"

    # --- what events keep current ---------------------------------------------------------------------------

    def _follow(self) -> None:
        self._background: set[asyncio.Task[None]] = set()
        self.verifier.on_revocation(self._revoked)
        if self.settings.service_name != SECRETS_MANAGER:
            self.health.add(SECRETS_MANAGER, self._secrets_manager_is_heard, essential=False)
            # Whose clock is wrong nobody can tell: the one that says so may be right, and can do its job.
            self.health.add("clock", self._clock_agrees, essential=False)
        if self.registrar is not None:
            self.health.add(GATEWAY, self._is_registered, essential=False)
        if self.events is None:
            return
        self.health.add("notification", self._stream_is_open, essential=False)
        if self.secrets is not None:
            self.events.internal("secret.*", self._secret_changed, about=self.secrets.services)
        self.events.internal("signing-key.*", lambda event: self._soon(self.verifier.refresh_keys()))
        self.events.internal("identity.*", lambda event: self._soon(self.verifier.refresh_revocations()))
        self.events.internal("service.*", self._service_changed)
        self.events.on_gap(self.refetch)

    async def _secrets_manager_is_heard(self) -> bool:
        if self.secrets is None:
            return self.verifier.current
        return self.secrets.current and self.verifier.able

    async def _clock_agrees(self) -> bool:
        return self.verifier.clock_agrees

    async def _is_registered(self) -> bool:
        return self.registrar is None or self.registrar.registered

    async def _stream_is_open(self) -> bool:
        return self.events is None or self.events.connected

    def _secret_changed(self, event: Event) -> None:
        if self.secrets is not None and event.subject:
            self.secrets.refresh_soon(event.subject)

    def _service_changed(self, event: Event) -> None:
        if event.subject:
            self.discovery.stale(event.subject)

    def _revoked(self) -> None:
        for holder in (self.api_keys, self.tokens):
            forget = getattr(holder, "forget_all", None)
            if forget is not None:
                forget()

    def _soon(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def refetch(self) -> None:
        """Fetch anew all that events keep current: secrets, keys, revocations, addresses."""
        self.discovery.stale()
        wanted = [self.verifier.refresh_keys(), self.verifier.refresh_revocations()]
        if self.secrets is not None:
            self.secrets.refresh_soon()
        await asyncio.gather(*wanted)

    # --- life -----------------------------------------------------------------------------------------------

    def describe(self, title: str, description: str, version: str) -> None:
        """Say what the catalog shows of this service."""
        if self.registrar is not None:
            self.registrar.describe(title, description, version)
        self.news.version = version

    async def start(self) -> None:
        """Begin: the stream first, so that nothing changes unheard; then keys and secrets. Not registered
        yet.
        """
        if self._stage not in {"made", "stopped"}:
            return
        self._stage = "started"
        self.stopping = asyncio.Event()
        patient = self.secrets is not None
        if self.events is not None and not await self.events.start(
            STREAM_SECONDS if patient else AT_ONCE_SECONDS
        ):
            get_logger().warning("event_stream_not_open_yet")
        await self.verifier.start(KEYS_SECONDS if patient else AT_ONCE_SECONDS)
        if self.secrets is not None:
            await self.secrets.start()

    async def announce(self) -> None:
        """Make the service known, now that it can do its job; its own event handlers begin."""
        if self._stage != "started":
            return
        self._stage = "announced"
        if self.events is not None:
            self.events.ready()
        if self.secrets is None or self.verifier.able:
            await self._enter_the_map()
        else:
            # Whoever was sent here meanwhile would be refused, although another instance knows its token.
            self._entering = asyncio.create_task(self._enter_the_map_once_able(), name="registration")
        await self.news.start()

    async def _enter_the_map(self) -> None:
        if self.registrar is not None:
            await self.registrar.start()

    async def _enter_the_map_once_able(self) -> None:
        get_logger().warning("registration_waits", reason="Tokens cannot be verified yet.")
        await self.verifier.wait_until_able()
        await self._enter_the_map()

    async def drain(self) -> None:
        """Tell everybody that this instance is about to end, while it still serves. Doing it twice does no
        more.
        """
        if self.stopping.is_set():
            return
        self.stopping.set()
        if self._stage == "announced":
            await asyncio.gather(self._leave_the_map(), self.news.stop())

    async def _leave_the_map(self) -> None:
        if self._entering is not None:
            self._entering.cancel()
            await asyncio.gather(self._entering, return_exceptions=True)
            self._entering = None
        if self.registrar is not None:
            await self.registrar.drain()

    async def withdraw(self) -> None:
        """Take back what `announce` made known."""
        await self.drain()
        if self._stage != "announced":
            return
        self._stage = "withdrawn"
        if self.registrar is not None:
            await self.registrar.stop()

    async def stop(self) -> None:
        """End."""
        await self.withdraw()
        if self._stage in {"made", "stopped"}:
            return
        self._stage = "stopped"
        if self.events is not None:
            await self.events.stop()
        if self.secrets is not None:
            await self.secrets.stop()
        await self.verifier.stop()
        await self.discovery.stop()
        background = list(self._background)
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        for part in (self.peers, self.issuer, self.directory):
            close = getattr(part, "close", None)
            if close is not None:
                with suppress(Exception):
                    await close()


_handed_over: list[Platform] = []


def hand_over(platform: Platform) -> None:
    """Have the next platform that is made for the same service take what this one holds: its ways, identity,
    secrets and signing keys.

    `entrypoint` fetches them before the application is imported; this is how they reach it: in memory.
    """
    _handed_over[:] = [platform]


def create_platform(settings: ServiceSettings, **parts: Unpack[Parts]) -> Platform:
    """Make a service's platform from its settings.

    Args:
        settings: the service's own.
        **parts: replacements, see `Parts`; None for what the service does not have.
    """
    if _handed_over and _handed_over[0].settings.service_name == settings.service_name:
        booted = _handed_over.pop()
        if (
            not {"connections", "identity", "issuer", "tokens", "peers", "directory", "discovery"}
            & parts.keys()
        ):
            ways = Parts(
                connections=booted.connections, identity=booted.identity, directory=booted.directory,
                discovery=booted.discovery, issuer=booted.issuer, tokens=booted.tokens, peers=booted.peers,
            )  # fmt: skip
            held = Parts(secrets=booted.secrets)
            if "keys" not in parts:
                held["verifier"] = booted.verifier
            parts = Parts(**{**ways, **held, **parts})
            settings.instance_id = booted.instance_id
    return Platform(settings, parts)
