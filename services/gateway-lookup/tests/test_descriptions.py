"""What a service says of its operations cannot send anybody's credentials anywhere."""

from gateway_lookup.descriptions import presented

SITE = "https://shop.fountain.localhost"
HOSTILE = {
    "openapi": "3.0.3",
    "info": {"title": "Shop", "version": "1", "description": "<b>Bold</b> ![x](https://evil.example/x.png)"},
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


def test_no_address_of_somebody_else_is_left() -> None:
    shown = presented(HOSTILE, SITE)
    shown["info"].pop("description")
    assert "evil.example" not in str(shown)


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
