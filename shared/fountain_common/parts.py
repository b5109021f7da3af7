"""The parts of a service's platform, each made from the settings or replaced."""

from collections.abc import Sequence
from typing import TypedDict

from fastapi import APIRouter

from fountain_common.api_keys import CachedKeyExchange, KeyExchange
from fountain_common.connections import Connections
from fountain_common.directory import Directory, GatewayDirectory
from fountain_common.discovery import GATEWAY, Discovery
from fountain_common.errors import Unavailable
from fountain_common.event_stream import Feed, PeerFeed
from fountain_common.events import Events
from fountain_common.health import Health
from fountain_common.http import Peers
from fountain_common.identity import ApiKeyTokenSource, Identity, TokenSource
from fountain_common.issuer import NAME as SECRETS_MANAGER
from fountain_common.issuer import IssuerClient
from fountain_common.lifecycle import LifecycleNews
from fountain_common.metrics import Metrics
from fountain_common.publisher import PeerPublisher, Publisher
from fountain_common.receiver import notifications_router
from fountain_common.registrar import GatewayRegistry, Registrar, Registry
from fountain_common.secrets import Secrets
from fountain_common.settings import ServiceSettings
from fountain_common.verifier import KeySource, TokenVerifier


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
        raise Unavailable(f"This service has no way to find {name}.")


class Assembly:
    """All parts, put together. Every part is an attribute, None where the service does not have it.

    Args:
        settings: the service's own.
        parts: replacements.

    Raises:
        ValueError: nobody could be let in, since there is neither an issuer nor a source of keys.
    """

    def __init__(self, settings: ServiceSettings, parts: Parts) -> None:
        self.settings = settings
        self.instance_id = settings.instance_id
        self.health = parts.get("health") or Health(settings.service_name)
        self.metrics = parts.get("metrics") or Metrics(settings.service_name)
        self._build_ways(parts)
        self._build_trust(parts)
        self._build_events(parts)
        self._build_registration(parts)

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
        if self.secrets is not None and self.events is not None:
            self.secrets.before_another = self.events.listen_anew
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
