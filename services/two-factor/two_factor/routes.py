"""The operations."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, status
from fountain_common import problem_responses

from two_factor.couriers import recipient_for
from two_factor.deps import FactorsDep, MayChange, MayGenerate, MayRead, MayVerify
from two_factor.schemas import (
    Confirmation,
    ConfirmedFactor,
    EnrolledFactor,
    Enrolment,
    FactorStatus,
    GeneratedCode,
    Generation,
    Removal,
    Username,
    Verification,
    VerificationResult,
)

router = APIRouter()
Name = Annotated[Username, Path()]
LOCKED = problem_responses(409, 429, 503)


@router.post(
    "/factors",
    summary="Enrol an authenticator",
    status_code=status.HTTP_201_CREATED,
    responses=LOCKED,
    tags=["factors"],
)
async def enrol_factor(body: Enrolment, caller: MayChange, factors: FactorsDep) -> EnrolledFactor:
    """Make a seed, shown once as a URI and as a QR code. A factor in use stays so until the new one is
    confirmed, within a quarter of an hour; changing it needs a code of its authenticator, a recovery code,
    or an admin.
    """
    return await factors.enrol(body.username, body.otp_code, by_admin=caller.is_admin)


@router.get(
    "/factors/{username}",
    summary="Look at a factor",
    responses=problem_responses(404, 503),
    tags=["factors"],
)
async def get_factor(username: Name, _: MayRead, factors: FactorsDep) -> FactorStatus:
    """Whether it is confirmed, since when, and how many recovery codes are left; never its seed."""
    return await factors.status(username)


@router.delete(
    "/factors/{username}",
    summary="Remove a factor",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problem_responses(404, 409, 429, 503),
    tags=["factors"],
)
async def remove_factor(
    username: Name, caller: MayChange, factors: FactorsDep, body: Removal | None = None
) -> None:
    """Remove the factor with its recovery codes. This needs a code of its authenticator, a recovery
    code, or an admin.
    """
    await factors.remove(username, body.otp_code if body else None, by_admin=caller.is_admin)


@router.post(
    "/factors/{username}/confirm",
    summary="Confirm an enrolment",
    responses=problem_responses(404, 409, 410, 429, 503),
    tags=["factors"],
)
async def confirm_factor(
    username: Name, body: Confirmation, _: MayChange, factors: FactorsDep
) -> ConfirmedFactor:
    """Take the factor into use with the first code that the device shows. The answer holds new recovery
    codes, which are shown once.
    """
    return await factors.confirm(username, body.otp_code)


@router.post(
    "/auth/verify",
    summary="Verify a code",
    responses=LOCKED,
    tags=["codes"],
)
async def verify_otp(body: Verification, _: MayVerify, factors: FactorsDep) -> VerificationResult:
    """Whether the code is right: the authenticator's, a recovery code, or one sent as an event. A right
    code is used up; repeated wrong ones lock the name for a while.
    """
    return VerificationResult(success=await factors.verify(body.username, body.otp_code))


@router.post(
    "/auth/generate",
    summary="Send a one-time code",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problem_responses(409, 429, 503),
    tags=["codes"],
)
async def generate_otp(
    body: Generation, request: Request, caller: MayGenerate, factors: FactorsDep
) -> GeneratedCode:
    """Make a code that is good once and for minutes, and send it as an event that only the recipient sees:
    the person's own identity, a courier of the settings, or one that an admin names. Never the one who asks.
    """
    platform = request.app.state.platform
    couriers = platform.settings.otp_couriers.split()
    recipient = recipient_for(body.username, body.recipient, caller, couriers)
    code, expires_at = await factors.new_one_time_code(body.username, platform.settings.one_time_code_seconds)
    await platform.events.publish(
        "otp.generated",
        body.username,
        {"username": body.username, "code": code, "expires_at": expires_at.isoformat()},
        recipient=recipient,
        expires_at=expires_at.isoformat(),
    )
    return GeneratedCode(message=f"The code is on its way to {recipient}.", expires_at=expires_at)
