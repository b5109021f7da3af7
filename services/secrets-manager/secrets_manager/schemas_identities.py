"""What requests about identities and keys take, and what they answer."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Self

from fountain_common.roles import Role
from fountain_common.schemas import StrictModel
from pydantic import AwareDatetime, BaseModel, Field

from secrets_manager.models_identity import ApiKeyRow, IdentityRow

Description = Annotated[str, Field(max_length=300, description="What it is for, in words.")]


class Kind(StrEnum):
    """What an identity is."""

    SERVICE = "service"
    PERSON = "person"
    ROBOT = "robot"


class IdentityRequest(StrictModel):
    """A new identity."""

    name: str = Field(
        max_length=63, description="Lower-case letters, digits and hyphens.", examples=["alice"]
    )
    kind: Kind = Kind.PERSON
    roles: list[Role] = Field(max_length=8, description="None at all is a caller who may nothing yet.")
    remote: bool | None = Field(
        default=None, description="Whether its keys get tokens through the edge; by default not for services."
    )
    description: Description = ""


class IdentityChange(StrictModel):
    """What to change of an identity; what is left out stays. Other roles revoke its tokens."""

    roles: list[Role] | None = Field(default=None, max_length=8)
    remote: bool | None = None
    description: Annotated[str | None, Field(max_length=300)] = None


class Identity(BaseModel):
    """An identity."""

    name: str
    kind: Kind
    roles: list[str]
    remote: bool
    description: str
    created_at: datetime
    created_by: str
    revoked_at: datetime | None

    @classmethod
    def of(cls, row: IdentityRow) -> Self:
        """Show a row."""
        return cls(
            name=row.name,
            kind=Kind(row.kind),
            roles=_words(row.roles),
            remote=row.remote,
            description=row.description,
            created_at=_moment(row.created_at),
            created_by=row.created_by,
            revoked_at=_moment_or_none(row.revoked_at),
        )


class KeyRequest(StrictModel):
    """A new API key."""

    description: Description = ""
    audiences: list[Annotated[str, Field(max_length=63)]] = Field(
        default=[],
        max_length=32,
        description="The services that it is for. One shown to a service as X-API-Key must name it.",
    )
    expires_at: AwareDatetime | None = Field(default=None, description="When it ends; null for never.")


class KeyChange(StrictModel):
    """Whether a key is honoured. A restore disables all keys."""

    enabled: bool


class ApiKeyMetadata(BaseModel):
    """A key without itself."""

    key_id: str
    description: str
    audiences: list[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    enabled: bool
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="Written now and then, so up to 10 seconds behind.")

    @classmethod
    def of(cls, row: ApiKeyRow) -> Self:
        """Show a row."""
        return cls(**_key_members(row))


class CreatedApiKey(ApiKeyMetadata):
    """A new key: `api_key` is shown this once."""

    identity: str
    api_key: str = Field(description="The whole key. Keep it now; it cannot be shown again.")

    @classmethod
    def made(cls, row: ApiKeyRow, api_key: str) -> Self:
        """Show a row with its key."""
        return cls(**_key_members(row), identity=row.identity, api_key=api_key)


class IdentityWithKeys(Identity):
    """An identity and the metadata of its keys."""

    keys: list[ApiKeyMetadata]


def _key_members(row: ApiKeyRow) -> dict[str, object]:
    return {
        "key_id": row.key_id,
        "description": row.label,
        "audiences": _words(row.audiences),
        "created_at": _moment(row.created_at),
        "created_by": row.created_by,
        "expires_at": _moment_or_none(row.expires_at),
        "enabled": row.enabled,
        "revoked_at": _moment_or_none(row.revoked_at),
        "last_used_at": _moment_or_none(row.last_used_at),
    }


def _words(joined: str) -> list[str]:
    return joined.split(",") if joined else []


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _moment_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else _moment(seconds)
