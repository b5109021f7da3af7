"""Signatures of deliveries, after the Standard Webhooks specification."""

import base64
import binascii
import hmac
import os
from collections.abc import Iterable

PREFIX = "whsec_"
_BYTES = 32
OVERLAP_SECONDS = 24 * 3600.0
"""For so long after a rotation the secret before it signs too."""


def new_secret() -> str:
    """Make a signing secret; its prefix lets a leaked one be recognised."""
    return PREFIX + base64.b64encode(os.urandom(_BYTES)).decode()


def signature_headers(secrets: Iterable[str], message_id: str, at: float, body: bytes) -> dict[str, str]:
    """Return the headers that sign a delivery, with one signature for each secret.

    Args:
        secrets: the live ones, newest first.
        message_id: the same at every attempt, so that the receiver can tell repetitions.
        at: unix seconds of this attempt.
        body: what is sent, byte for byte.
    """
    stamp = str(int(at))
    signed = f"{message_id}.{stamp}.".encode() + body
    signatures = [
        base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode() for secret in secrets
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("not a signing secret") from None
