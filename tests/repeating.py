"""How a test that draws from a seed is run again with the same one: said at the end, whatever came of it."""

from collections.abc import Iterable, Mapping
from typing import Any

AGAIN = "the same again"
"""The property under which a test notes its command: `record_property(AGAIN, command)`."""


def commands(reports: Mapping[str, Iterable[Any]]) -> list[str]:
    """Return a line for each test that was run and has noted its command.

    Args:
        reports: pytest's, by outcome.
    """
    return [
        f"{AGAIN}: {value}"
        for outcome in ("passed", "failed")
        for report in reports.get(outcome, ())
        if report.when == "call"
        for name, value in report.user_properties
        if name == AGAIN
    ]
