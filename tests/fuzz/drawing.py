"""Draws examples from strategies; the same seed draws the same."""

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy, tuples

Strategies = tuple[SearchStrategy[Any], ...]


def for_all(
    kinds: Strategies, number: int, examples: int, do: Callable[..., None], *, shrink: bool = False
) -> None:
    """Call a function with so many examples.

    Args:
        kinds: of its arguments, in order.
        number: the seed.
        examples: how many.
        do: the function.
        shrink: look for the smallest example that fails; only for what answers the same when asked again.
    """
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    asked = settings(
        max_examples=examples,
        phases=phases,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )

    def one(arguments: tuple[Any, ...]) -> None:
        do(*arguments)

    seed(number)(asked(given(arguments=tuples(*kinds))(one)))()
