"""What request bodies and answers have in common."""

from pydantic import BaseModel, ConfigDict, Field


class StrictModel(BaseModel):
    """The base of every request body: a field that is not known is a 422, not a silent misunderstanding.

    `hide_input_in_errors` keeps what was sent, which may be a secret, out of tracebacks and logs.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class InvalidPart(BaseModel):
    """A part of a request that is not valid, and why; never what was sent there."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="Which rule it breaks.", examples=["missing"])
    loc: list[str | int] = Field(
        description="Where it is: `body`, `query`, `path` or `header`, and the way from there.",
        examples=[["body", "items", 0]],
    )
    msg: str = Field(description="The rule as a sentence.", examples=["Field required"])


class Problem(BaseModel):
    """An error as RFC 9457 has it; the documented shape of every answer that is not a success."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[InvalidPart] | None = Field(
        default=None, description="With 422: what is not valid, the first twenty of it."
    )
