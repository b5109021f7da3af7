"""Parts are broken at random under load; whatever the platform has said stays true."""

import pytest
from fountain_cli.stack import Stack
from rich.console import Console

from chaos import report
from chaos.run import perform

SECONDS = 20


@pytest.mark.mainly("compose")
def test_whatever_is_broken_nothing_is_lost(stack: Stack, request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("--chaos-seed")
    again = f"make chaos seed={seed} minutes={SECONDS / 60:.2g} runtime={stack.runtime}"
    # Shown if it fails, and with `-rP`.
    console = Console(width=140)
    console.print(f"seed {seed}; the same against a platform of its own: {again}")

    outcome = perform(stack, seed, SECONDS, console.print)

    report.show(outcome, console)
    assert [str(violation) for violation in outcome.violations] == [], again
    assert outcome.history.troubles
    assert outcome.history.versions
