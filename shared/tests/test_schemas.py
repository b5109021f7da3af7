import pytest
from fountain_common.schemas import Problem, StrictModel
from pydantic import ValidationError


class Body(StrictModel):
    name: str


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError):
        Body.model_validate({"name": "a", "colour": "red"})


def test_what_was_sent_is_not_in_the_error() -> None:
    with pytest.raises(ValidationError) as error:
        Body.model_validate({"name": ["marker"]})
    assert "marker" not in str(error.value)


def test_the_documented_problem_is_the_one_that_is_answered() -> None:
    assert {"type", "title", "status", "detail", "instance", "request_id", "errors"} == set(
        Problem.model_fields
    )
