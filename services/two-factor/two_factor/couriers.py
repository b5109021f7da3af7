"""Who may receive a one-time code. Pure."""

from collections.abc import Collection

from fountain_common import Caller, Conflict, Forbidden, InvalidName, service_name


def is_identity(name: str) -> bool:
    """Whether `name` is written as identities' names are."""
    try:
        return service_name(name) == name
    except InvalidName:
        return False


def recipient_for(username: str, recipient: str | None, caller: Caller, couriers: Collection[str]) -> str:
    """The identity that a one-time code goes to: the person's own, a courier's, or one that an admin names.

    Whoever receives a code can pass for the person it is for. So never the one who asks, an admin included,
    and for callers that are no admins only those that this service's settings name as couriers, such as the
    identity that sends mail.

    Raises:
        Conflict: it is the caller, who would then hold both the code and the word on it.
        Forbidden: it is neither the person's own identity nor a courier, and the caller no admin.
        InvalidName: it is no name of an identity.
    """
    chosen = username if recipient is None else recipient
    if not is_identity(chosen):
        raise InvalidName("The recipient is not the name of an identity. Name a courier.")
    if chosen == caller.subject:
        raise Conflict("A code is not sent to whoever asks for it. Name another recipient.")
    if chosen != username and chosen not in couriers and not caller.is_admin:
        raise Forbidden(
            f"{chosen} may not receive codes for others. Choose one that FOUNTAIN_OTP_COURIERS names."
        )
    return chosen
