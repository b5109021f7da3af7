"""Request bodies and answers."""

import unicodedata
from datetime import datetime
from typing import Annotated

from fountain_common import StrictModel
from pydantic import AfterValidator, BaseModel, Field

from two_factor.codes import typed


def _normalised(raw: str) -> str:
    """One spelling for one person: compatibility forms, case and outer space do not make another."""
    name = unicodedata.normalize("NFKC", raw).strip().casefold()
    if not name or len(name) > 128 or any(unicodedata.category(letter)[0] == "C" for letter in name):
        raise ValueError("a name has 1 to 128 visible characters")
    return name


Username = Annotated[
    str,
    Field(max_length=256, description="The person's name; case and compatibility forms do not matter."),
    AfterValidator(_normalised),
]


def _code(raw: str) -> str:
    if len(typed(raw)) < 6:
        raise ValueError("a code has at least six characters, not counting spaces and hyphens")
    return raw


Code = Annotated[
    str,
    Field(
        min_length=6,
        max_length=32,
        description="Six digits, or a recovery code; spaces and hyphens are ignored.",
    ),
    AfterValidator(_code),
]


class Enrolment(StrictModel):
    """Whom to enrol; where a factor is in use already, a code of its authenticator or a recovery code."""

    username: Username
    otp_code: Code | None = None


class Confirmation(StrictModel):
    """The first code that the authenticator shows."""

    otp_code: Code


class Removal(StrictModel):
    """A code of the authenticator or a recovery code, unless an admin asks."""

    otp_code: Code | None = None


class Verification(StrictModel):
    """Who says to be there, and the code."""

    username: Username
    otp_code: Code


class Generation(StrictModel):
    """Whom a one-time code is for, and which identity gets the event that carries it."""

    username: Username
    recipient: str | None = Field(
        default=None,
        max_length=63,
        description="The identity that receives the code: the username's own if not given. Others than a "
        "courier of the settings are an admin's to name.",
    )


class EnrolledFactor(BaseModel):
    """What the person's device needs; shown once."""

    username: str
    otpauth_uri: str = Field(description="The key URI that authenticator apps read.")
    qr_svg: str = Field(description="The same as a QR code, an SVG image.")
    expires_at: datetime = Field(description="Until when it can be confirmed.")


class ConfirmedFactor(BaseModel):
    """The factor is in use; the recovery codes are shown once."""

    success: bool
    recovery_codes: list[str]


class FactorStatus(BaseModel):
    """What may be known about a factor; never its seed."""

    username: str
    confirmed: bool
    created_at: datetime
    confirmed_at: datetime | None
    recovery_codes_left: int


class VerificationResult(BaseModel):
    """Whether the code was right."""

    success: bool


class GeneratedCode(BaseModel):
    """The code is on its way to the recipient; it is not in this answer."""

    message: str
    expires_at: datetime
