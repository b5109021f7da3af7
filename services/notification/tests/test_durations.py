"""Lengths of time."""

import pytest
from notification.durations import parse_duration


def test_every_unit_is_understood() -> None:
    assert [parse_duration(raw) for raw in ("7", "1.5s", "2m", "3h", " 1d ")] == [7, 1.5, 120, 10800, 86400]


@pytest.mark.parametrize("raw", ["", "s", "5 m", "-1s", "1w", "nan"])
def test_anything_else_is_refused(raw: str) -> None:
    with pytest.raises(ValueError, match="no length of time"):
        parse_duration(raw)
