"""A service's OpenAPI document as the API page shows it: it may say what the service does, not where
anything is sent, nor where anybody should go.
"""

import re
from dataclasses import dataclass
from typing import Any

import orjson

_SCHEMES = ("http", "apiKey")
DEEPEST = 100
"""Objects and lists inside one another; what programs write of themselves has a third of it."""
LARGEST = 2 * 1024 * 1024
_LEAVING = re.compile("://|www|mailto:", re.IGNORECASE)


class UnpresentableError(ValueError):
    """A document that cannot be shown; the message says why."""


@dataclass(frozen=True, slots=True)
class Description:
    """A service's document as the page gets it, or why it does not: one of both is empty."""

    body: bytes
    note: str = ""


def described(document: dict[str, Any], server: str) -> Description:
    """Make what the page gets of a document, once; see `presented`."""
    try:
        body = orjson.dumps(presented(document, server))
    except UnpresentableError as error:
        return Description(b"", str(error))
    except orjson.JSONEncodeError:
        return Description(b"", "it cannot be written as JSON")
    return Description(body) if len(body) <= LARGEST else Description(b"", "it is longer than 2 MB")


def presented(document: dict[str, Any], server: str) -> dict[str, Any]:
    """Return a copy that sends requests to the service's own site alone, credentials nowhere else, and
    readers nowhere.

    Args:
        document: as the service gave it; it is not trusted.
        server: the service's public URL, made from its name.

    Raises:
        UnpresentableError: it is too deep.
    """
    shown: dict[str, Any] = _copied(
        {key: value for key, value in document.items() if key not in ("webhooks", "$ref")}, DEEPEST
    )
    shown["servers"] = [{"url": server}]
    # A reference would bring in again, from elsewhere in the document, what is taken out here.
    for item in _dicts(shown.get("paths")):
        _drop(item, "servers", "$ref")
        for operation in _dicts(item):
            _drop(operation, "servers", "callbacks", "$ref")
    info = shown.get("info")
    if isinstance(info, dict):
        _drop(info, "contact", "termsOfService", "license")
    _drop_flows(shown)
    return shown


def _copied(value: Any, depth: int) -> Any:
    if depth == 0:
        raise UnpresentableError(f"it has more than {DEEPEST} levels")
    if isinstance(value, list):
        return [_copied(item, depth - 1) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _plain(item) if key == "description" and isinstance(item, str) else _copied(item, depth - 1)
        for key, item in value.items()
        if key != "externalDocs" and not (key == "$ref" and _is_elsewhere(item))
    }


def _is_elsewhere(reference: object) -> bool:
    # The page would fetch it.
    return isinstance(reference, str) and not reference.startswith("#")


def _plain(text: str) -> str:
    """Take markup, pictures and links out of a description: the page renders Markdown, which lets HTML
    through, and makes a link of whatever looks like an address.
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("\\", "&#92;").replace("@", "(at)")
    text = text.replace("![", "! [").replace("](", "] (").replace("]:", "] :")
    return re.sub(r"\S+", lambda word: "(link left out)" if _LEAVING.search(word[0]) else word[0], text)


def _drop_flows(shown: dict[str, Any]) -> None:
    components = shown.get("components")
    if not isinstance(components, dict):
        return
    _drop(components, "callbacks", "$ref")
    schemes = components.get("securitySchemes")
    if not isinstance(schemes, dict):
        components.pop("securitySchemes", None)
        return
    # An OAuth scheme names URLs that the page would send credentials to.
    components["securitySchemes"] = {
        name: scheme
        for name, scheme in schemes.items()
        if isinstance(scheme, dict) and scheme.get("type") in _SCHEMES and "$ref" not in scheme
    }


def _drop(part: dict[str, Any], *names: str) -> None:
    for name in names:
        part.pop(name, None)


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value.values() if isinstance(item, dict)] if isinstance(value, dict) else []
