"""`POST /notifications`: where an event is delivered to a service."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from fountain_common.auth import Caller, requires
from fountain_common.errors import Problem, Unprocessable
from fountain_common.event import Event
from fountain_common.patterns import valid_type
from fountain_common.roles import Permission
from fountain_common.schemas import StrictModel


class ShortEvent(StrictModel):
    """An event in short: its type, and what there is to say."""

    type: str = Field(max_length=255, examples=["order.placed"])
    subject: str | None = Field(default=None, max_length=255)
    data: Any = None


class Message(StrictModel):
    """A message for people."""

    message: str = Field(max_length=65536)
    subject: str | None = Field(default=None, max_length=255)


class RotationNotice(StrictModel):
    """That a service's secrets were rotated, in the form of older clients."""

    serviceName: str = Field(max_length=63)  # noqa: N815 - the wire's name
    rotationTime: datetime  # noqa: N815
    version: int | str


class Received(BaseModel):
    """That the handlers have run."""

    message: str


class HandlerFailed(Problem):
    """A handler raised; the event should be delivered again."""


def as_event(body: Event | ShortEvent | Message | RotationNotice) -> Event:
    """Return the event that a payload stands for.

    Raises:
        Unprocessable: its type is not one.
    """
    match body:
        case Event():
            event = body
        case ShortEvent():
            event = Event(type=body.type, subject=body.subject, data=body.data)
        case Message():
            event = Event(type="message", subject=body.subject, data={"message": body.message})
        case RotationNotice():
            data = {
                "service_name": body.serviceName,
                "version": body.version,
                "rotation_time": body.rotationTime.isoformat(),
            }
            event = Event(type="secret.rotated", subject=body.serviceName, data=data)
    if not valid_type(event.type):
        raise Unprocessable("An event's type is words of letters, digits, _ and - with dots between them.")
    return event


class CloudEvent(Event):
    """A CloudEvent 1.0 as it is delivered: with its id and source."""

    id: str = Field(min_length=1, max_length=255)
    source: str = Field(min_length=1, max_length=255)


def notifications_router() -> APIRouter:
    """Return the route `POST /notifications` for the application's own `platform.events`."""
    router = APIRouter(tags=["service"])

    @router.post("/notifications", operation_id="receiveNotification", summary="Receive an event")
    async def receive_notification(
        request: Request,
        body: CloudEvent | ShortEvent | Message | RotationNotice,
        _caller: Annotated[Caller, requires(Permission.NOTIFICATIONS_DELIVER)],
    ) -> Received:
        """Run this service's handlers for an event: the same that run for events from the stream. 200 once
        they have run.
        """
        if not await request.app.state.platform.events.receive(as_event(body)):
            raise HandlerFailed("A handler of this event failed; deliver it again.")
        return Received(message="Notification received; its handlers have run.")

    return router


__all__ = ["CloudEvent", "Message", "RotationNotice", "ShortEvent", "as_event", "notifications_router"]
