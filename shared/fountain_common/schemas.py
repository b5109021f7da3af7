"""What request bodies and answers have in common."""

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """The base of every request body: a field that is not known is a 422, not a silent misunderstanding.

    `hide_input_in_errors` keeps what was sent, which may be a secret, out of tracebacks and logs.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Problem(BaseModel):
    """An error as RFC 9457 has it; the documented shape of every answer that is not a success."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[dict[str, object]] | None = None
