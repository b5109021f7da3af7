"""What a service says of its operations cannot send anybody's credentials anywhere."""

import pytest
from gateway_lookup.descriptions import described, presented
from gateway_lookup.fetch import Fetched
from gateway_lookup.observations import read_health, read_openapi

SITE = "https://shop.fountain.localhost"
HOSTILE = {
    "openapi": "3.0.3",
    "info": {
        "title": "Shop",
        "version": "1",
        "description": "<b>Bold</b> ![x](https://evil.example/x.png) [go][1] [there](//evil.example/)\n\n"
        "[1]: https://evil.example\nhttps&#58;//evil.example "
        "https\\://evil.example www.evil.example me@evil.example",
        "termsOfService": "https://evil.example/terms",
        "contact": {"url": "https://evil.example", "email": "me@evil.example"},
        "license": {"name": "Mine", "url": "https://evil.example"},
    },
    "externalDocs": {"url": "https://evil.example"},
    "tags": [{"name": "things", "externalDocs": {"url": "https://evil.example"}}],
    "servers": [{"url": "https://evil.example"}],
    "webhooks": {"x": {}},
    "paths": {
        "/things": {
            "servers": [{"url": "https://evil.example"}],
            "get": {
                "servers": [{"url": "https://evil.example"}],
                "callbacks": {"on": {}},
                "description": "<script>alert(1)</script>",
                "responses": {"200": {"description": "ok"}},
            },
        },
        "/broken": "not an object",
    },
    "components": {
        "callbacks": {"x": {}},
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "oauth": {"type": "oauth2", "flows": {"password": {"tokenUrl": "https://evil.example/t"}}},
            "oidc": {"type": "openIdConnect", "openIdConnectUrl": "https://evil.example"},
        },
    },
}


def test_requests_go_to_the_services_own_site_alone() -> None:
    shown = presented(HOSTILE, SITE)
    assert shown["servers"] == [{"url": SITE}]
    assert "servers" not in shown["paths"]["/things"]
    assert "servers" not in shown["paths"]["/things"]["get"]
    assert "callbacks" not in shown["paths"]["/things"]["get"]


def test_schemes_that_name_urls_are_dropped() -> None:
    assert presented(HOSTILE, SITE)["components"]["securitySchemes"] == {
        "bearer": {"type": "http", "scheme": "bearer"}
    }


def test_a_reference_brings_neither_servers_nor_schemes_back() -> None:
    elsewhere = {"servers": [{"url": "https://evil.example"}], "responses": {}}
    flow = {"type": "oauth2", "flows": {"password": {"tokenUrl": "https://evil.example/t"}}}
    document = {
        "openapi": "3.1.0",
        "$ref": "#/x-all",
        "paths": {
            "/whole": {"$ref": "#/components/pathItems/evil"},
            "/one": {"get": {"$ref": "#/x-operation", "summary": "Kept"}},
        },
        "components": {
            "$ref": "#/x-components",
            "pathItems": {"evil": {**elsewhere, "get": elsewhere}},
            "securitySchemes": {"flow": {"$ref": "#/x-flow"}, "typed": {"$ref": "#/x-flow", "type": "http"}},
        },
        "x-operation": elsewhere,
        "x-flow": flow,
    }
    shown = presented(document, SITE)
    assert "$ref" not in shown
    assert shown["paths"] == {"/whole": {}, "/one": {"get": {"summary": "Kept"}}}
    assert "$ref" not in shown["components"]
    assert shown["components"]["securitySchemes"] == {}


def test_no_address_of_somebody_else_is_left_that_leads_there() -> None:
    shown = presented(HOSTILE, SITE)
    text = shown["info"].pop("description")
    assert "evil.example" not in str(shown)
    # What is left of addresses in text is letters: nothing by which the page would know a link.
    for mark in ("://", "www", "@", "](", "]:", "&#58;", "\\"):
        assert mark not in text


def test_a_reference_to_elsewhere_is_not_followed() -> None:
    schemas = {"A": {"$ref": "https://evil.example/a"}, "B": {"$ref": "#/components/schemas/A"}}
    shown = presented({"openapi": "3.0.3", "paths": {}, "components": {"schemas": schemas}}, SITE)
    assert shown["components"]["schemas"] == {"A": {}, "B": {"$ref": "#/components/schemas/A"}}


@pytest.mark.parametrize("depth", [300, 600, 1000])
def test_a_document_that_is_too_deep_is_refused_with_a_note(depth: int) -> None:
    text = '{"openapi":"3.0.3","paths":{},"x":' + '{"a":' * depth + "1" + "}" * depth + "}"
    found = read_openapi(Fetched(200, text.encode()), SITE)
    assert found is not None
    assert (found.body, "levels" in found.note) == (b"", True)


def test_a_document_that_grows_too_long_is_refused_with_a_note() -> None:
    document = {"openapi": "3.0.3", "paths": {}, "info": {"description": "<" * 1_000_000}}
    assert "longer" in described(document, SITE).note


def test_descriptions_hold_no_markup_and_no_pictures() -> None:
    shown = presented(HOSTILE, SITE)
    assert "<" not in shown["info"]["description"]
    assert "![" not in shown["info"]["description"]
    assert "<" not in shown["paths"]["/things"]["get"]["description"]


def test_the_document_itself_is_left_as_it_was() -> None:
    presented(HOSTILE, SITE)
    assert HOSTILE["servers"] == [{"url": "https://evil.example"}]


def test_a_document_without_parts_is_shown_all_the_same() -> None:
    assert presented({"openapi": "3.0.3", "paths": {}, "components": []}, SITE)["servers"] == [{"url": SITE}]


def test_only_the_name_of_another_registered_service_tells_of_another_service() -> None:
    answer = Fetched(200, b'{"service": "Shop API"}')
    assert read_health(answer, "shop", {"cart"}.__contains__).well
    assert read_health(Fetched(200, b'{"service": "cart"}'), "shop", {"cart"}.__contains__).misplaced
