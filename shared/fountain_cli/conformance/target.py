"""The running service that is checked."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from fountain_cli.conformance.missing import NotChecked
from fountain_cli.conformance.platform import Keeper, Platform

T = TypeVar("T")
_PAUSE_SECONDS = 0.1
_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")
_PUBLIC = {"/", "/health", "/docs", "/openapi.json", "/metrics"}
# What is public besides, and at which service alone.
_PUBLIC_AT = {
    "secrets-manager": {
        "/auth/token",
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/revocations",
    },
    "gateway-lookup": {"/apis"},
}


def is_public(template: str, service: str) -> bool:
    """Whether everybody may call this path at this service; "" may be any of them."""
    own = _PUBLIC_AT.get(service, set()) if service else set().union(*_PUBLIC_AT.values())
    return template in _PUBLIC | own or template.startswith("/docs/")


@dataclass(frozen=True)
class Tokens:
    """Access tokens to try. Where one is None, the rules that need it are not checked, and said not to be."""

    admin: str | None = None
    """For this service, with every permission."""
    powerless: str | None = None
    """For this service, with no permission at all."""
    foreign: str | None = None
    """With every permission, for another service."""


@dataclass(frozen=True)
class Operation:
    """One operation of the service's OpenAPI document."""

    method: str
    template: str
    spec: dict[str, Any]
    parameters: tuple[dict[str, Any], ...]

    @property
    def place(self) -> str:
        """How it is named in findings: `GET /links/{token}`."""
        return f"{self.method.upper()} {self.template}"

    @property
    def public(self) -> bool:
        """Whether it says that it needs no credential."""
        return self.spec.get("security") == []

    def path(self) -> str:
        """A path that fits the template, with values that most likely name nothing."""
        path = self.template
        for parameter in self.parameters:
            if parameter.get("in") == "path":
                number = parameter.get("schema", {}).get("type") in ("integer", "number")
                path = path.replace(
                    "{" + parameter["name"] + "}", "2147483647" if number else "no-such-thing"
                )
        return path


@dataclass(frozen=True)
class Target:
    """A service at an address, and as much of what is around it as is within reach.

    Attributes:
        client: its base URL is the service's.
        tokens: to try.
        inside: it is reached directly and not through the edge, where `/metrics` is hidden.
        direct: a client past the edge, where there is one besides.
        name: the service's, where it is known.
        platform: what it is a part of.
        keeper: the runtime that has its logs.
        may_restart: the check may stop it for a moment and start it again.
        may_rotate: the check may rotate its secret.
        sources: the repository, if the service's folder is there.
        patience: how much of the usual time is waited for what does not come.
    """

    client: httpx2.Client
    tokens: Tokens = field(default_factory=Tokens)
    inside: bool = True
    direct: httpx2.Client | None = None
    name: str = ""
    platform: Platform | None = None
    keeper: Keeper | None = None
    may_restart: bool = False
    may_rotate: bool = False
    sources: Path | None = None
    patience: float = 1.0
    _done: dict[Callable[["Target"], Any], Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, story: Callable[["Target"], T]) -> T:
        """Do something to the service once, however many rules look at what came of it."""
        if story not in self._done:
            self._done[story] = story(self)
        found: T = self._done[story]
        return found

    def eventually(self, look: Callable[[], T], seconds: float) -> T:
        """Look until the answer is truthy or the time is over; give the last answer back."""
        deadline = time.monotonic() + seconds * self.patience
        while not (seen := look()) and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
        return seen

    @property
    def past_the_edge(self) -> httpx2.Client:
        """A client to which nothing is hidden. Raises `NotChecked`."""
        found = self.client if self.inside else self.direct
        if found is None:
            raise NotChecked("the service is reached through the edge alone, which hides /metrics")
        return found

    @property
    def admin(self) -> str:
        """A token with every permission. Raises `NotChecked`."""
        return self.tokens.admin or _lacking("no token for this service was given")

    @property
    def surroundings(self) -> Platform:
        """The platform. Raises `NotChecked`."""
        if self.platform is None:
            raise NotChecked("a URL alone does not say which service of which platform it is")
        return self.platform

    def ask(self, method: str, path: str, *, token: str | None = None, **options: Any) -> httpx2.Response:
        """One request, redirects not followed."""
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.client.request(method, path, headers=headers, follow_redirects=False, **options)

    @cached_property
    def openapi(self) -> dict[str, Any]:
        """The service's own document; {} where it gives none."""
        answer = self.ask("GET", "/openapi.json")
        try:
            document = answer.json()
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    def guarded(self) -> list[Operation]:
        """Every operation that needs a credential. Raises `NotChecked` where no operation is documented."""
        documented = list(self.operations())
        if not documented:
            raise NotChecked("there is no OpenAPI document that names its operations")
        return [one for one in documented if not one.public and not is_public(one.template, self.name)]

    def operations(self) -> Iterator[Operation]:
        """Every operation that the document names."""
        for template, item in self.openapi.get("paths", {}).items():
            shared = item.get("parameters", [])
            for method in _METHODS:
                if method in item:
                    spec = item[method]
                    parameters = tuple(self.resolved(one) for one in (*shared, *spec.get("parameters", [])))
                    yield Operation(method, template, spec, parameters)

    def resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        """What a local `$ref` points to, or the node itself."""
        reference = node.get("$ref", "")
        if not reference.startswith("#/"):
            return node
        found: Any = self.openapi
        for step in reference.removeprefix("#/").split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            found = found.get(step, {}) if isinstance(found, dict) else {}
        return found if isinstance(found, dict) else {}


def _lacking(what: str) -> str:
    raise NotChecked(what)
