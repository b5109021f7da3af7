"""Request bodies and answers, in camel case on the wire."""

from datetime import datetime
from typing import Annotated, Self

from fountain_common import StrictModel
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel


def _storable(raw: str) -> str:
    if "\x00" in raw or any(0xD800 <= ord(letter) <= 0xDFFF for letter in raw):
        raise ValueError("text must not contain NUL characters or lone surrogates")
    return raw


Text = Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_storable)]
Id = Annotated[int, Field(ge=1, le=2**31 - 1)]


class NewAction(StrictModel):
    """An action to be performed next by its character."""

    model_config = ConfigDict(alias_generator=to_camel)

    description: Text
    character_id: Id
    comment: Text | None = None


class ActionChange(StrictModel):
    """What is to be changed; what is left out stays, and `comment` may be taken away with null."""

    model_config = ConfigDict(alias_generator=to_camel)

    description: Text | None = None
    comment: Text | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("name at least one of description and comment")
        if "description" in self.model_fields_set and self.description is None:
            raise ValueError("an action has a description: it can be changed, not removed")
        return self


class ActionView(BaseModel):
    """An action as it is stored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)

    action_id: int
    character_id: int
    sequence_number: int = Field(description="Its place among the character's actions, counted from 1.")
    description: str
    comment: str | None
    created_at: datetime
    updated_at: datetime


class ActionPage(BaseModel):
    """A page of actions in the order of their ids, and where the next one begins."""

    items: list[ActionView]
    next: str | None = Field(description="What to send as `cursor` for the next page; null after the last.")
