"""The running service that is checked."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx2

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")


@dataclass(frozen=True)
class Tokens:
    """Access tokens to try. Where one is None, the checks that need it are left out and said to be."""

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
    """A service at an address: its name if it is known, a client whose base URL it is, and tokens.

    `inside` says that it is reached directly and not through the edge, where `/metrics` is hidden.
    """

    client: httpx2.Client
    tokens: Tokens = field(default_factory=Tokens)
    inside: bool = True

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
