"""What a service pays for a secret that it holds and an address that it knows: no input or output at all."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from fountain_common.platform import Platform, create_platform
from fountain_common.settings import ServiceSettings
from fountain_common.testing import World

from benchmarks.measure import Budget, Result, absolute
from benchmarks.rows import Row, Run

_SECRET = Budget("read of a held secret", "us", floor=2, aim=0.5, higher=False)
_LOOKUP = Budget("lookup of a known address", "us", floor=2, aim=0.5, higher=False)
_TIMES = 200_000


def _measure(run: Run) -> Iterator[Result]:
    secret, lookup = asyncio.run(_both(run.rounds))
    yield absolute(_SECRET, secret.pop, rounds=run.rounds, note=f"{_TIMES} reads a round")
    yield absolute(_LOOKUP, lookup.pop, rounds=run.rounds, note=f"{_TIMES} lookups a round")


async def _both(rounds: int) -> tuple[list[float], list[float]]:
    world = World()
    platform = create_platform(ServiceSettings(service_name="example-consumer"))
    world.enter(platform)
    await platform.start()
    try:
        return (
            [_read(platform.secrets) for _ in range(rounds)],
            [await _resolve(platform) for _ in range(rounds)],
        )
    finally:
        await platform.stop()


def _read(secrets: Any) -> float:
    started = time.perf_counter()
    for _ in range(_TIMES):
        secrets["JWT_SECRET"]
    return (time.perf_counter() - started) / _TIMES * 1e6


async def _resolve(platform: Platform) -> float:
    resolve = platform.discovery.resolve
    await resolve("notification")
    started = time.perf_counter()
    for _ in range(_TIMES):
        await resolve("notification")
    return (time.perf_counter() - started) / _TIMES * 1e6


ROWS = (Row("inside a service", "", (_SECRET, _LOOKUP), _measure),)
