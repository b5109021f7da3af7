"""A person's second factor, under the short name that the service has besides its own."""

import time

import pyotp
from polling import poll_until
from steward import Steward

SHORT, SERVICE = "2fa", "two-factor"
USERNAME = "e2e-grace"


def test_the_short_name_leads_to_the_service(steward: Steward) -> None:
    def answers() -> bool:
        page = steward.at(SHORT).get("/")
        assert page.status_code == 200, page.text
        assert "Two-Factor" in page.text
        return bool(steward.at(SHORT).get("/health").json()["service"] == SERVICE)

    poll_until(answers, "the service answers at its short name")


def test_what_is_enrolled_at_the_short_name_is_verified_at_the_long_one(steward: Steward) -> None:
    headers = steward.headers(SERVICE)
    enrolled = steward.at(SHORT).post("/factors", json={"username": USERNAME}, headers=headers)
    assert enrolled.status_code == 201, enrolled.text
    authenticator = pyotp.parse_uri(enrolled.json()["otpauth_uri"])
    assert isinstance(authenticator, pyotp.TOTP)
    now = int(time.time())
    first = steward.at(SHORT).post(
        f"/factors/{USERNAME}/confirm", json={"otp_code": authenticator.at(now)}, headers=headers
    )
    assert first.status_code == 200, first.text
    # The next code, which a device whose clock is ahead shows already: the first is used up.
    code = {"username": USERNAME, "otp_code": authenticator.at(now + 30)}
    said = [steward.ask("POST", SERVICE, "/auth/verify", json=code).json() for _ in range(2)]
    assert said == [{"success": True}, {"success": False}]
    assert steward.ask("DELETE", SERVICE, f"/factors/{USERNAME}").status_code == 204
