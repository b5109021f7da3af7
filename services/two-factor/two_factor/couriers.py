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
        raise InvalidName("That is no name of an identity; name a courier as recipient.")
    if chosen == caller.subject:
        raise Conflict("The code goes to somebody else than the one who asks for it; name another recipient.")
    if chosen != username and chosen not in couriers and not caller.is_admin:
        raise Forbidden(
            f"{chosen} receives no codes for others; this service's FOUNTAIN_OTP_COURIERS names who does."
        )
    return chosen
