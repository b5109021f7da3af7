"""Signatures, as the official library of Standard Webhooks verifies them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notification.signing import new_secret, signature_headers
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError


@given(st.text(max_size=200))
def test_the_official_library_verifies_any_body(text: str) -> None:
    secret, body = new_secret(), text.encode()
    headers = signature_headers([secret], "evt_1", time.time(), body)
    Webhook(secret).verify(body, headers, json_parse=False)


def test_another_body_or_another_secret_does_not_pass() -> None:
    secret = new_secret()
    headers = signature_headers([secret], "evt_1", time.time(), b"{}")
    for key, body in ((secret, b"[]"), (new_secret(), b"{}")):
        with pytest.raises(WebhookVerificationError):
            Webhook(key).verify(body, headers)


def test_each_live_secret_signs() -> None:
    secrets = [new_secret(), new_secret()]
    headers = signature_headers(secrets, "evt_1", time.time(), b"{}")
    for secret in secrets:
        Webhook(secret).verify(b"{}", headers)


def test_what_is_no_secret_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match=r"^not a signing secret$"):
        signature_headers(["whsec_???"], "evt_1", 0, b"{}")
