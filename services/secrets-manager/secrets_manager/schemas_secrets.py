"""What requests about secrets take, and what they answer."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from fountain_common.schemas import StrictModel
from pydantic import BaseModel, ConfigDict, Field, RootModel

from secrets_manager.generate import DEFAULT_LENGTH, MAX_LENGTH, MIN_LENGTH, SecretKind
from secrets_manager.rotation import RotationState, VersionState

_EXAMPLE_KEY = "SMTP_PASSWORD"

SecretValues = Annotated[
    dict[str, str],
    Field(description="Values by key; a key is upper case, as in environment variables.", max_length=256),
]


class GivenSecrets(RootModel[dict[str, str]]):
    """Values by key, as `{"SMTP_PASSWORD": "..."}`."""

    model_config = ConfigDict(
        hide_input_in_errors=True, json_schema_extra={"example": {_EXAMPLE_KEY: "a value"}}
    )


class RotateRequest(StrictModel):
    """How to rotate; without anything, every generated key but DATA_KEY gets a new value."""

    new_secrets: SecretValues | None = Field(default=None, alias="newSecrets")
    keys: list[str] | None = Field(
        default=None, max_length=256, description="These keys, and these alone, get new generated values."
    )
    immediate: bool = Field(
        default=False, description="Wait for nobody and retire older versions at once. Requests may fail."
    )


class HeldVersion(BaseModel):
    """A version that holders accept."""

    version: int
    state: VersionState
    secrets: dict[str, str]


class Secret(BaseModel):
    """A secret: the active version, and all that are staged, active or draining."""

    service_name: str
    version: int = Field(description="The active version.")
    secrets: dict[str, str] = Field(description="Its values; empty for callers that may not read them.")
    versions: list[HeldVersion]
    epoch: str = Field(description="Changes when a backup is restored.")
    updated_at: datetime


class OneVersion(HeldVersion):
    """One version, asked for by its number."""

    service_name: str


class Created(BaseModel):
    """The first version of a secret."""

    service_name: str
    version: int
    state: VersionState
    secrets: dict[str, str]


class Rotated(Created):
    """A new version of a secret; `state` is how far the version has come: staged or active."""

    rotation_id: str


class VersionMetadata(BaseModel):
    """A version without its values."""

    version: int
    state: VersionState
    created_at: datetime
    created_by: str
    changed_at: datetime


class SecretMetadata(BaseModel):
    """A secret without its values."""

    service_name: str
    version: int = Field(description="The active version.")
    state: str = Field(description="`active` or `revoked`.")
    versions: list[VersionMetadata] = Field(description="Staged, active and draining ones.")
    created_at: datetime
    updated_at: datetime


class Phase(StrEnum):
    """How far a holder is with a version."""

    ACCEPTS = "accepts"
    USES = "uses"


class Acknowledgement(StrictModel):
    """A holder's word: it accepts the version, or it uses it and nothing older."""

    phase: Phase


class Acknowledged(BaseModel):
    """What the holder has acknowledged by now."""

    service_name: str
    version: int
    phase: Phase
    accepts: int = Field(description="The newest version that it accepts.")
    uses: int = Field(description="The newest version that it uses.")


class HolderStatus(BaseModel):
    """An instance that holds the secret of a rotation."""

    instance_id: str
    identity: str
    accepts: int
    uses: int
    expires_at: datetime | None = Field(
        description="When it no longer counts if it is not heard of; null if it is gone."
    )
    late: bool = Field(description="Whether the rotation waits for it.")


class RotationView(BaseModel):
    """A rotation, and those who hold its secret (for one that has ended: who did then)."""

    rotation_id: str
    service_name: str
    version: int
    previous_version: int
    state: RotationState
    overdue: bool
    created_at: datetime
    activated_at: datetime | None
    draining_since: datetime | None = Field(
        description="When the last holder let go of the previous version."
    )
    retired_at: datetime | None
    deadline_at: datetime
    overlap_seconds: float
    deadline_seconds: float
    reason: str
    requested_by: str
    holders: list[HolderStatus]


class PolicyRequest(StrictModel):
    """When a secret rotates by itself (by `cron` or `interval_seconds`, or never), and how."""

    cron: str | None = Field(
        default=None, max_length=120, description="Five fields, UTC.", examples=["0 3 * * 0"]
    )
    interval_seconds: int | None = Field(default=None, ge=60, le=10 * 366 * 86400)
    overlap_seconds: float = Field(
        default=900, ge=0, le=366 * 86400, description="The longest life of anything made with the secret."
    )
    deadline_seconds: float = Field(
        default=300,
        ge=1,
        le=366 * 86400,
        description="How long holders may take to accept, and again to use.",
    )


class PolicyView(BaseModel):
    """The rotation policy of a secret."""

    service_name: str
    cron: str | None
    interval_seconds: int | None
    overlap_seconds: float
    deadline_seconds: float
    next_at: datetime | None = Field(description="When it rotates next by itself.")
    updated_at: datetime


class GrantView(BaseModel):
    """Another identity that may read a service's secret."""

    service_name: str
    identity: str
    granted_by: str
    granted_at: datetime


class GrantList(BaseModel):
    """All grants to one secret."""

    items: list[GrantView]


class GenerateRequest(StrictModel):
    """What to generate."""

    length: int = Field(
        default=DEFAULT_LENGTH,
        ge=MIN_LENGTH,
        le=MAX_LENGTH,
        description="Random bytes of a token or hex value, characters of a password.",
    )
    kind: SecretKind = SecretKind.TOKEN


class Generated(BaseModel):
    """A random value, stored nowhere."""

    secret: str


class RewrapResult(BaseModel):
    """What a rotation of the key-encryption key did."""

    rewrapped: int = Field(description="How many sealed values were wrapped anew.")
