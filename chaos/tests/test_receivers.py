"""Deliveries come signed, and events are told apart by what they tell of."""

import base64
import hmac
import socket

import httpx2
import pytest

from chaos.history import History
from chaos.receivers import Webhook, received, signed

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
BODY = b'{"type":"chaos.note","id":"e1","position":3,"subject":"s","data":{"number":"0-1"}}'


def headers(body: bytes, key: bytes = b"k" * 32) -> dict[str, str]:
    said = b"m1.1700000000." + body
    signature = base64.b64encode(hmac.digest(key, said, "sha256")).decode()
    return {"webhook-id": "m1", "webhook-timestamp": "1700000000", "webhook-signature": f"v1,{signature}"}


def test_a_signature_that_fits_is_believed() -> None:
    assert signed(SECRET, headers(BODY), BODY)


@pytest.mark.parametrize(
    "sent", [{}, headers(BODY, b"x" * 32), headers(b"other"), headers(BODY) | {"webhook-id": "m2"}]
)
def test_any_other_is_not(sent: dict[str, str]) -> None:
    assert not signed(SECRET, sent, BODY)


def test_the_webhook_writes_down_what_is_signed_and_counts_what_is_not() -> None:
    history = History()
    with Webhook(history, "127.0.0.1") as webhook:
        webhook.secret = SECRET
        with httpx2.Client() as client:
            assert client.post(webhook.url, content=BODY, headers=headers(BODY)).status_code == 204
            assert client.post(webhook.url, content=BODY, headers=headers(b"other")).status_code == 204
    assert [event.key for event in history.delivered] == ["chaos.note:e1"]
    assert history.forged == 1


def test_a_delivery_that_broke_off_is_no_forgery() -> None:
    history = History()
    with Webhook(history, "127.0.0.1") as webhook:
        webhook.secret = SECRET
        url = httpx2.URL(webhook.url)
        with socket.create_connection((url.host, url.port or 0), timeout=10) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf")
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
    assert (history.delivered, history.forged) == ([], 0)


@pytest.mark.parametrize(
    ("event", "key"),
    [
        ({"type": "chaos.note", "id": "e1", "position": 1, "subject": "s"}, "chaos.note:e1"),
        ({"type": "action.created", "id": "e2", "position": 2, "subject": "7"}, "action.created:7"),
        (
            {
                "type": "secret.staged",
                "id": "e3",
                "position": 3,
                "subject": "x",
                "data": {"rotation_id": "r"},
            },
            "secret.staged:r",
        ),
    ],
)
def test_an_event_is_known_by_what_it_tells_of(event: dict[str, object], key: str) -> None:
    assert received(event).key == key
