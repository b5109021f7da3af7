"""Time-based one-time passwords by RFC 6238, as authenticator apps make them: SHA-1, six digits, 30 seconds.

Pure: the time is passed in, in seconds since the epoch.
"""

import base64
import hmac
import secrets
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

DIGITS = 6
STEP_SECONDS = 30
# RFC 6238, 5.2: at most one step of drift each way, for clocks that differ and for slow typing.
DRIFT_STEPS = 1
# RFC 4226, 4: at least 128 bits, 160 recommended.
SEED_BYTES = 20


def new_seed() -> bytes:
    """A seed from the system's random source."""
    return secrets.token_bytes(SEED_BYTES)


def step_at(now: float) -> int:
    """The number of the time step that `now` lies in."""
    return int(now // STEP_SECONDS)


def code_for(seed: bytes, step: int) -> str:
    """The code of a time step."""
    # SHA-1 is what every authenticator app supports; HMAC does not rest on its collision resistance.
    return HOTP(seed, DIGITS, SHA1(), enforce_key_length=False).generate(step).decode()  # noqa: S303


def matching_step(seed: bytes, code: str, now: float, *, after: int = -1) -> int | None:
    """The step within the drift window whose code is `code`, or None.

    Steps up to `after`, the last one that was accepted, no longer count: a code is used once (RFC 6238, 5.2).
    Every step of the window is compared, in constant time each.
    """
    current = step_at(now)
    found = None
    for step in range(current - DRIFT_STEPS, current + DRIFT_STEPS + 1):
        same = hmac.compare_digest(code_for(seed, max(step, 0)).encode(), code.encode())
        if same and step > after:
            found = step
    return found


def otpauth_uri(seed: bytes, *, issuer: str, username: str) -> str:
    """The key URI that authenticator apps read from a QR code."""
    label = f"{quote(issuer, safe='')}:{quote(username, safe='')}"
    query = urlencode(
        {
            "secret": base64.b32encode(seed).decode().rstrip("="),
            "issuer": issuer,
            "algorithm": "SHA1",
            "digits": DIGITS,
            "period": STEP_SECONDS,
        },
        quote_via=quote,
    )
    return f"otpauth://totp/{label}?{query}"
