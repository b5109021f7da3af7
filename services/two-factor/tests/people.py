"""People with authenticator apps, as the tests of the service have them."""

import time
from pathlib import Path
from typing import Any

import pyotp
from fountain_common.testing import ServiceClient

SERVICE = Path(__file__).parents[1]
# The start of the next time step: tokens that are made in real time are good then.
NOW = (int(time.time()) // 30 + 1) * 30
SOMEBODY = ("service",)


def enrolled(client: ServiceClient, username: str = "ada", **more: str) -> pyotp.TOTP:
    answer = client.post("/factors", json={"username": username, **more})
    assert answer.status_code == 201, answer.text
    authenticator = pyotp.parse_uri(answer.json()["otpauth_uri"])
    assert isinstance(authenticator, pyotp.TOTP)
    return authenticator


def confirmed(client: ServiceClient, username: str = "ada") -> tuple[pyotp.TOTP, list[str]]:
    authenticator = enrolled(client, username)
    answer = client.post(f"/factors/{username}/confirm", json={"otp_code": authenticator.at(NOW)})
    assert answer.status_code == 200, answer.text
    return authenticator, answer.json()["recovery_codes"]


def verified(client: ServiceClient, code: str, username: str = "ada") -> Any:
    answer = client.post("/auth/verify", json={"username": username, "otp_code": code})
    assert answer.status_code == 200, answer.text
    return answer.json()["success"]


def sent_code(client: ServiceClient) -> str:
    """Have a code sent for ada, and return it as its recipient would know it."""
    answer = client.post("/auth/generate", json={"username": "ada", "recipient": "mailer"})
    assert answer.status_code == 202, answer.text
    return str(client.world.notification.events("otp.generated")[-1]["data"]["code"])
