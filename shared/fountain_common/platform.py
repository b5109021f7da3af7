"""All that a service has of the platform, put together, and its life from start to stop (design, sections 3,
4 and 8).
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypedDict, Unpack

from fastapi import APIRouter

from fountain_common.api_keys import CachedKeyExchange, KeyExchange
from fountain_common.connections import Connections
from fountain_common.directory import Directory, GatewayDirectory
from fountain_common.discovery import GATEWAY, Discovery
from fountain_common.errors import Problem
from fountain_common.event import Event
from fountain_common.event_stream import Feed, PeerFeed
from fountain_common.events import Events, PeerPublisher, Publisher
from fountain_common.health import Health
from fountain_common.http import Peers
from fountain_common.identity import ApiKeyTokenSource, Identity, TokenSource
from fountain_common.issuer import NAME as SECRETS_MANAGER
from fountain_common.issuer import IssuerClient
from fountain_common.lifecycle import LifecycleNews
from fountain_common.logging import get_logger
from fountain_common.metrics import Metrics
from fountain_common.receiver import notifications_router
from fountain_common.registrar import GatewayRegistry, Registrar, Registry
from fountain_common.secrets import Secrets
from fountain_common.settings import ServiceSettings
from fountain_common.verifier import KeySource, TokenVerifier

STREAM_SECONDS = 2.0
"""How long a start waits for the stream of events; notification may be away, and the service starts all the
same.
"""


class Parts(TypedDict, total=False):
    """What may be replaced. `None` for a part means that the service does not have it."""

    connections: Connections
    identity: Identity | None
    directory: Directory | None
    discovery: Discovery
    issuer: IssuerClient | None
    tokens: TokenSource | None
    keys: KeySource
    verifier: TokenVerifier
    api_keys: KeyExchange | None
    peers: Peers
    secrets: Secrets | None
    publisher: Publisher | None
    feed: Feed | None
    events: Events | None
    registry: Registry | None
    registrar: Registrar | None
    health: Health
    metrics: Metrics
    hosts: Sequence[str]
    scheme: str


class _Nowhere:
    """The directory of a service that has none."""

    async def lookup(self, name: str, etag: str | None) -> None:
        raise Problem(f"This service has no way to find {name}.")


class Platform:
    """See the module. Made by `create_platform`; every part is an attribute, None where the service does not
    have it.

    Attributes:
        stopping: is set when the service is about to end; whoever holds a response open ends it then.
    """

    def __init__(self, settings: ServiceSettings, parts: Parts) -> None:
        self.settings = settings
        self.instance_id = settings.instance_id
        self.health = parts.get("health") or Health(settings.service_name)
        self.metrics = parts.get("metrics") or Metrics(settings.service_name)
        self.stopping = asyncio.Event()
        self._build_ways(parts)
        self._build_trust(parts)
        self._build_events(parts)
        self._build_registration(parts)
        self._follow()
        self._stage = "made"

    def __repr__(self) -> str:
        return f"<Platform of {self.settings.service_name}, {self._stage}>"

    def _build_ways(self, parts: Parts) -> None:
        settings = self.settings
        self.connections = parts.get("connections") or Connections()
        self.identity = parts["identity"] if "identity" in parts else Identity(settings)
        directory: Directory | None = GatewayDirectory(settings.gateway_url, self.connections)
        if "directory" in parts:
            directory = parts["directory"]
        self.directory = directory
        self.discovery = parts.get("discovery") or Discovery(
            directory or _Nowhere(), {GATEWAY: settings.gateway_url}
        )
        self.issuer: IssuerClient | None = None
        if "issuer" in parts:
            self.issuer = parts["issuer"]
        elif self.identity is not None:
            self.issuer = IssuerClient(
                self.identity,
                self.connections,
                lambda: self.discovery.resolve(SECRETS_MANAGER),
                self.discovery.failed,
            )
        self.tokens: TokenSource | None = None
        if "tokens" in parts:
            self.tokens = parts["tokens"]
        elif self.identity is not None and self.issuer is not None:
            self.tokens = ApiKeyTokenSource(self.identity, self.issuer)
        if isinstance(directory, GatewayDirectory) and directory.tokens is None:
            directory.tokens = self.tokens
        self.peers = parts.get("peers") or Peers(self.connections, self.discovery, self.tokens, self.issuer)

    def _build_trust(self, parts: Parts) -> None:
        keys = parts.get("keys") or self.issuer
        if "verifier" in parts:
            self.verifier = parts["verifier"]
        elif keys is not None:
            self.verifier = TokenVerifier(self.settings.issuer_url, self.settings.service_name, keys)
        else:
            raise ValueError("a platform without an issuer needs keys=, or nobody could be let in")
        self.api_keys: KeyExchange | None = None
        if "api_keys" in parts:
            self.api_keys = parts["api_keys"]
        elif self.issuer is not None:
            self.api_keys = CachedKeyExchange(self.issuer)
        self.secrets: Secrets | None = None
        if "secrets" in parts:
            self.secrets = parts["secrets"]
        elif self.issuer is not None:
            self.secrets = Secrets(
                self.settings.service_name,
                self.instance_id,
                self.peers,
                renew_seconds=self.settings.secrets_renew_seconds,
            )

    def _build_events(self, parts: Parts) -> None:
        publisher: Publisher | None = (
            parts["publisher"] if "publisher" in parts else PeerPublisher(self.peers)
        )
        feed: Feed | None = parts["feed"] if "feed" in parts else PeerFeed(self.peers)
        if "events" in parts:
            self.events = parts["events"]
        else:
            self.events = Events(publisher, feed, registry=self.metrics.registry)
        self.routers: tuple[APIRouter, ...] = ()
        if self.events is not None and self.settings.service_name != "notification":
            self.routers = (notifications_router(),)
        self.news = LifecycleNews(self.settings.service_name, self.instance_id, self.events, self.health)

    def _build_registration(self, parts: Parts) -> None:
        self.registrar: Registrar | None = None
        if "registrar" in parts:
            self.registrar = parts["registrar"]
            return
        registry: Registry | None = parts["registry"] if "registry" in parts else GatewayRegistry(self.peers)
        if registry is not None:
            self.registrar = Registrar(
                registry,
                self.settings.service_name,
                self.instance_id,
                self.settings.port,
                scheme=parts.get("scheme", "http"),
                hosts=parts.get("hosts", ()),
            )

    # --- what events keep current ---------------------------------------------------------------------------

    def _follow(self) -> None:
        self._background: set[asyncio.Task[None]] = set()
        self.verifier.on_revocation(self._revoked)
        if self.secrets is not None:
            self.health.add(SECRETS_MANAGER, self._secrets_are_current, essential=False)
        if self.registrar is not None:
            self.health.add(GATEWAY, self._is_registered, essential=False)
        if self.events is None:
            return
        self.health.add("notification", self._stream_is_open, essential=False)
        self.events.internal("secret.*", self._secret_changed)
        self.events.internal("signing-key.*", lambda event: self._soon(self.verifier.refresh_keys()))
        self.events.internal("identity.*", lambda event: self._soon(self.verifier.refresh_revocations()))
        self.events.internal("service.*", self._service_changed)
        self.events.on_gap(self.refetch)

    async def _secrets_are_current(self) -> bool:
        return self.secrets is None or self.secrets.current

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
        if self.events is not None and not await self.events.start(STREAM_SECONDS):
            get_logger().warning("event_stream_not_open_yet")
        await self.verifier.start()
        if self.secrets is not None:
            await self.secrets.start()

    async def announce(self) -> None:
        """Make the service known, now that it can do its job; its own event handlers begin."""
        if self._stage != "started":
            return
        self._stage = "announced"
        if self.events is not None:
            self.events.ready()
        if self.registrar is not None:
            await self.registrar.start()
        await self.news.start()

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
        for task in list(self._background):
            task.cancel()
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
    """Have the next platform that is made for the same service take this one's ways, identity and secrets.

    `entrypoint` fetches secrets before the application is imported; this is how they reach it: in memory.
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
            parts = Parts(**{**ways, "secrets": booted.secrets, **parts})
            settings.instance_id = booted.instance_id
    return Platform(settings, parts)
