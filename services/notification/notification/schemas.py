"""What the API answers, and what it takes beside events."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fountain_common.names import service_name
from fountain_common.patterns import valid_pattern
from fountain_common.schemas import StrictModel
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, model_validator


def pattern(raw: str) -> str:
    """Return a pattern of types, if it is one."""
    if not valid_pattern(raw):
        raise ValueError(
            "a pattern is words with dots between them; * stands for one word, > as the last for the rest"
        )
    return raw


class EventOut(BaseModel):
    """A CloudEvent 1.0 as it is stored."""

    specversion: str = Field(examples=["1.0"])
    id: str
    source: str = Field(description="The identity that published it.")
    type: str
    subject: str | None = None
    time: datetime
    recipient: str | None = Field(default=None, description="The one identity that may see it.")
    expirytime: datetime | None = Field(default=None, description="When its data is erased.")
    datacontenttype: str | None = None
    data: Any = None
    position: int = Field(description="Its place in the log, without holes that are filled later.")


class EventPage(BaseModel):
    """Events in order."""

    items: list[EventOut]
    next: int | None = Field(description="What `after` must be for more; null at the end.")


class SubscriptionIn(StrictModel):
    """What a subscription is to be."""

    types: Annotated[list[Annotated[str, AfterValidator(pattern)]], Field(min_length=1, max_length=32)] = (
        Field(description="Patterns of types: `*` is one word, `>` the rest.", examples=[["secret.*"]])
    )
    callback_url: str | None = Field(
        default=None, max_length=2048, description="Where events are posted, signed."
    )
    service: Annotated[str, Field(max_length=63), AfterValidator(service_name)] | None = Field(
        default=None, description="The service that gets them at its `POST /notifications`."
    )
    subject: str | None = Field(
        default=None, min_length=1, max_length=255, description="Only events about this."
    )
    source: str | None = Field(
        default=None, min_length=1, max_length=255, description="Only events of this publisher."
    )
    enabled: bool = True
    timeout_seconds: float | None = Field(
        default=None, gt=0, le=60, description="How long the receiver may take."
    )
    concurrency: int | None = Field(default=None, ge=1, le=64, description="Deliveries under way at once.")
    schedule_seconds: list[Annotated[float, Field(ge=0, le=7 * 86400)]] | None = Field(
        default=None,
        min_length=1,
        max_length=32,
        description="Seconds before each attempt, counted from the last.",
    )

    @model_validator(mode="after")
    def _one_receiver(self) -> Self:
        if (self.callback_url is None) == (self.service is None):
            raise ValueError("give either callback_url or service")
        return self


class SubscriptionOut(BaseModel):
    """A subscription, without its secret."""

    name: str
    owner: str
    types: list[str]
    callback_url: str | None
    service: str | None
    subject: str | None
    source: str | None
    enabled: bool
    disabled_reason: str | None
    timeout_seconds: float | None = Field(description="Null is the service's setting, as for the next two.")
    concurrency: int | None
    schedule_seconds: list[float] | None
    had: int = Field(description="Events up to this position have become deliveries.")
    missed_through: int = Field(
        description="Events up to this position were removed while it was disabled; 0 if none were."
    )
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime


class SubscriptionWithSecret(SubscriptionOut):
    """A subscription as it was put."""

    signing_secret: str | None = Field(description="Shown when the subscription is made, and never again.")


class SubscriptionPage(BaseModel):
    """Subscriptions by name."""

    items: list[SubscriptionOut]
    next: str | None = Field(description="What `cursor` must be for more; null at the end.")


class NewSecret(BaseModel):
    """A signing secret, shown once."""

    signing_secret: str
    previous_signs_until: datetime = Field(
        description="Until then deliveries carry a signature of the one before too."
    )


class ReplayIn(StrictModel):
    """Which events are to be delivered again: one of the three."""

    after: int | None = Field(default=None, ge=0, le=2**63 - 1, description="Those behind this position.")
    since: AwareDatetime | None = Field(default=None, description="Those stored at this moment or later.")
    missing: Literal[True] | None = Field(default=None, description="Those that were given up.")
    dry_run: bool = Field(default=False, description="Only count them.")


class ReplayOut(BaseModel):
    """How many events are delivered again, or would be."""

    count: int
    dry_run: bool


class AttemptOut(BaseModel):
    """One try."""

    at: datetime
    latency_ms: float
    status_code: int | None = Field(description="Of the answer; null if there was none.")
    error: str | None = Field(description="Why it failed; null if it did not.")
    answer: str | None = Field(
        description="The first 2 KB of what the receiver said; for the owner at that time alone."
    )


class DeliveryOut(BaseModel):
    """One event for one subscription."""

    id: str
    subscription: str
    status: Literal["pending", "delivered", "dead", "dropped"]
    position: int
    event_id: str | None = Field(
        description="Null once retention has removed the event, as for the next two."
    )
    source: str | None
    type: str | None
    subject: str | None
    created_at: datetime
    next_attempt_at: datetime | None
    finished_at: datetime | None
    attempts: list[AttemptOut]


class DeliveryPage(BaseModel):
    """Deliveries, the newest first."""

    items: list[DeliveryOut]
    next: str | None = Field(description="What `cursor` must be for more; null at the end.")


class Redelivery(BaseModel):
    """That a delivery is made again."""

    id: str
    subscription: str
    status: Literal["pending"] = "pending"
