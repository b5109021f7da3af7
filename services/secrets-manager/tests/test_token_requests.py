import base64
from urllib.parse import urlencode

import pytest
from secrets_manager.token_requests import OAuthError, read_request

FORM = "application/x-www-form-urlencoded"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


def read(body, content_type=FORM, authorization=None):
    raw = urlencode(body, doseq=True).encode() if isinstance(body, dict) else body
    return read_request(content_type, authorization, raw)


def test_credentials_come_by_body_or_by_basic():
    in_body = read(
        {"grant_type": "client_credentials", "client_id": "a", "client_secret": "s", "resource": "x"}
    )
    by_basic = read({"grant_type": "client_credentials", "resource": "x"}, authorization=basic("a:s"))
    assert (in_body.client_id, in_body.client_secret, in_body.resources) == ("a", "s", ("x",))
    assert (by_basic.client_id, by_basic.client_secret, by_basic.resources) == ("a", "s", ("x",))


def test_resources_repeat_in_a_form_and_are_a_list_in_json():
    form = read({"grant_type": "client_credentials", "client_secret": "s", "resource": ["a", "b"]})
    json = read(
        b'{"grant_type":"client_credentials","client_secret":"s","resource":["a","b"]}', "application/json"
    )
    assert form.resources == json.resources == ("a", "b")


def test_the_repr_shows_no_credential():
    assert "s3cret" not in repr(read({"grant_type": "client_credentials", "client_secret": "s3cret"}))


@pytest.mark.parametrize(
    ("body", "options", "error"),
    [
        ({}, {}, "invalid_request"),
        ({"grant_type": "client_credentials"}, {}, "invalid_client"),
        ({"grant_type": ["client_credentials", "x"], "client_secret": "s"}, {}, "invalid_request"),
        ({"grant_type": "client_credentials", "client_secret": ["a", "b"]}, {}, "invalid_request"),
        (
            {"grant_type": "client_credentials", "client_secret": "s"},
            {"authorization": basic("a:s")},
            "invalid_request",
        ),
        (
            {"grant_type": "client_credentials", "client_id": "b"},
            {"authorization": basic("a:s")},
            "invalid_request",
        ),
        ({"grant_type": "client_credentials"}, {"authorization": "Bearer x"}, "invalid_client"),
        ({"grant_type": "client_credentials"}, {"authorization": "Basic %%%"}, "invalid_client"),
        ({"grant_type": "client_credentials"}, {"authorization": basic("no-colon")}, "invalid_client"),
        ({"grant_type": EXCHANGE, "client_secret": "s", "subject_token": "k"}, {}, "invalid_request"),
        (b"\xff\xfe", {}, "invalid_request"),
        (b"[1]", {"content_type": "application/json"}, "invalid_request"),
        (b'{"grant_type":1}', {"content_type": "application/json"}, "invalid_request"),
        (b"{", {"content_type": "application/json"}, "invalid_request"),
        (b"<x/>", {"content_type": "text/xml"}, "invalid_request"),
    ],
)
def test_what_is_malformed_is_named_as_oauth_names_it(body, options, error):
    with pytest.raises(OAuthError) as raised:
        read(body, **options)
    assert raised.value.error == error


@pytest.mark.parametrize("said", ["somewhere", "203.0.113.7, 10.0.0.1"])
def test_where_a_key_was_shown_is_an_address(said):
    exchange = {
        "grant_type": EXCHANGE,
        "client_secret": "s",
        "subject_token": "k",
        "subject_token_type": "urn:fountain:params:token-type:api-key",
    }
    assert read({**exchange, "shown_from": "2001:DB8::1"}).shown_from == "2001:db8::1"
    assert read(exchange).shown_from == ""
    with pytest.raises(OAuthError, match="address"):
        read({**exchange, "shown_from": said})
