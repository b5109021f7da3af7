"""A service's OpenAPI document as the API page shows it: it may say what the service does, not where
anything is sent.
"""

import copy
from typing import Any

_SCHEMES = ("http", "apiKey")


def presented(document: dict[str, Any], server: str) -> dict[str, Any]:
    """Answer a copy that sends requests to the service's own site alone, and credentials nowhere else.

    Args:
        document: as the service gave it; it is not trusted.
        server: the service's public URL, made from its name.
    """
    shown: dict[str, Any] = copy.deepcopy(
        {key: value for key, value in document.items() if key not in ("webhooks", "$ref")}
    )
    shown["servers"] = [{"url": server}]
    # A reference would bring in again, from elsewhere in the document, what is taken out here.
    for item in _dicts(shown.get("paths")):
        _drop(item, "servers", "$ref")
        for operation in _dicts(item):
            _drop(operation, "servers", "callbacks", "$ref")
    _drop_flows(shown)
    _make_plain(shown)
    return shown


def _make_plain(value: object) -> None:
    """Take markup and pictures out of every description: the page renders Markdown, and Markdown lets HTML
    through.
    """
    if isinstance(value, dict):
        text = value.get("description")
        if isinstance(text, str):
            value["description"] = text.replace("<", "&lt;").replace("![", "!\\[")
        for item in value.values():
            _make_plain(item)
    elif isinstance(value, list):
        for item in value:
            _make_plain(item)


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
