"""The forms in which an event may be handed in, and the one event that each of them means."""

from typing import Annotated, Any, Literal

from fountain_common.errors import PayloadTooLarge, Unprocessable
from fountain_common.event import MAX_EVENT_BYTES
from fountain_common.names import service_name
from fountain_common.patterns import valid_type
from fountain_common.schemas import StrictModel
from fountain_common.tokens import Caller
from pydantic import AfterValidator, AliasChoices, AwareDatetime, Discriminator, Field, Tag

from notification.authority import require_may_announce_rotation, require_may_publish
from notification.event import Draft, TooLarge

# Control characters are not text (CloudEvents 1.0, "Type System"), and PostgreSQL does not store all of them.
MAX_TEXT_CHARACTERS = 255
Text = Annotated[
    str, Field(min_length=1, max_length=MAX_TEXT_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")
]


def _type(raw: str) -> str:
    if not valid_type(raw):
        raise ValueError("a type is words of letters, digits, _ and - with dots between them")
    return raw


def _identity(raw: str) -> str:
    return service_name(raw)


class CloudEventIn(StrictModel):
    """A CloudEvent 1.0, or the short form of one: `type` is enough."""

    specversion: Literal["1.0"] = "1.0"
    id: Text | None = Field(
        default=None, description="Made if not given; with the publisher it names the event."
    )
    source: str | None = Field(
        default=None, max_length=2048, description="Ignored: the source is the publisher."
    )
    type: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_type)]
    subject: Text | None = None
    time: AwareDatetime | None = None
    datacontenttype: Literal["application/json"] | None = None
    dataschema: str | None = Field(default=None, max_length=2048, description="Accepted and not kept.")
    data: Any = None
    recipient: Annotated[str, Field(max_length=63), AfterValidator(_identity)] | None = Field(
        default=None, description="The one identity that may see it."
    )
    expires_at: AwareDatetime | None = Field(
        default=None,
        validation_alias=AliasChoices("expires_at", "expirytime"),
        description="When its data is erased.",
    )
    position: None = Field(default=None, description="Given by the log.")


class MessageIn(StrictModel):
    """A message for people: it becomes an event of the type `message`."""

    message: str = Field(min_length=1)
    subject: Text | None = None


class RotationIn(StrictModel):
    """The announcement of a rotation, from admin or the Secrets Manager: it becomes `secret.rotated`."""

    service: Annotated[str, Field(alias="serviceName"), AfterValidator(service_name)]
    rotated_at: AwareDatetime | None = Field(default=None, alias="rotationTime")
    version: int | Annotated[str, Field(max_length=63)] | None = None


def _form(body: Any) -> str:
    if isinstance(body, dict) and "type" not in body:
        if "serviceName" in body:
            return "rotation"
        if "message" in body:
            return "message"
    return "event"


EventIn = Annotated[
    Annotated[CloudEventIn, Tag("event")]
    | Annotated[MessageIn, Tag("message")]
    | Annotated[RotationIn, Tag("rotation")],
    Discriminator(_form),
]


def draft(
    body: CloudEventIn | MessageIn | RotationIn, caller: Caller, now: float, key: str | None = None
) -> Draft:
    """Return the event that a payload means, if its publisher may say it.

    Args:
        body: one of the three forms.
        caller: the publisher, who is the source.
        now: unix seconds.
        key: the Idempotency-Key.

    Raises:
        Forbidden: the type is another's.
        PayloadTooLarge: more than 64 KB.
        Unprocessable: it expires before it is stored.
    """
    if isinstance(body, RotationIn):
        require_may_announce_rotation(caller.subject, caller.roles)
        event = CloudEventIn(type="secret.rotated", subject=body.service, data=_rotation(body))
    else:
        event = _message(body) if isinstance(body, MessageIn) else body
        require_may_publish(caller.subject, caller.roles, event.type, event.subject or "")
    if event.expires_at is not None and event.expires_at.timestamp() <= now:
        raise Unprocessable("expires_at has passed already.")
    try:
        return Draft.of(
            id=event.id,
            source=caller.subject,
            type=event.type,
            subject=event.subject or "",
            time=event.time.timestamp() if event.time is not None else now,
            data=event.data,
            recipient=event.recipient or "",
            expires_at=event.expires_at.timestamp() if event.expires_at is not None else None,
            key=key,
        )
    except TooLarge:
        raise PayloadTooLarge(
            f"An event has at most {MAX_EVENT_BYTES} bytes; publish where the rest can be fetched."
        ) from None
    except (TypeError, ValueError, RecursionError):
        raise Unprocessable(
            "The data holds a number or a text that JSON cannot carry to every receiver."
        ) from None


def _message(body: MessageIn) -> CloudEventIn:
    return CloudEventIn(type="message", subject=body.subject, data={"message": body.message})


def _rotation(body: RotationIn) -> dict[str, Any]:
    data: dict[str, Any] = {"service_name": body.service, "version": body.version}
    if body.rotated_at is not None:
        data["rotation_time"] = body.rotated_at.isoformat()
    return data
