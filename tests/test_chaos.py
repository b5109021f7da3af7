"""Parts are broken at random under load; whatever the platform has said stays true.

The seed is always the same unless another is given: in so short a run, one seed in ten leaves too little time
without trouble for anything to be judged. `make chaos` draws another each time.
"""

from collections.abc import Callable

import pytest
from fountain_cli.stack import Stack
from repeating import AGAIN
from rich.console import Console

from chaos import report
from chaos.run import perform

SECONDS = 20


@pytest.mark.mainly("docker")
def test_whatever_is_broken_nothing_is_lost(
    stack: Stack, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    seed = request.config.getoption("--chaos-seed")
    runtime = request.node.callspec.params["stack"]
    again = f".venv/bin/pytest tests/test_chaos.py --thorough --runtime={runtime} --chaos-seed {seed}"
    record_property(AGAIN, again)
    # Shown if it fails, and with `-rP`.
    console = Console(width=140)

    outcome = perform(stack, seed, SECONDS, console.print)

    report.show(outcome, console)
    assert [str(violation) for violation in outcome.violations] == [], again
    assert outcome.history.troubles
    assert outcome.history.versions
