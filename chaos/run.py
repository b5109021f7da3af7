"""One run: break parts while work goes on, let all of it become whole again, and judge."""

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx2
from fountain_cli.stack import Stack, StackError

from chaos import invariants
from chaos.aftermath import Aftermath
from chaos.hand import Hand
from chaos.history import History
from chaos.invariants import Violation
from chaos.judging import Tally
from chaos.load import ROTATED, Load
from chaos.receivers import TYPES, Reader, Webhook
from chaos.scene import MANAGER, NOTIFICATION, Scene
from chaos.schedule import draw
from chaos.watch import watch

SETTINGS = {
    # A rotation waits so long for an instance that was killed ...
    "FOUNTAIN_HOLDER_SECONDS": "15",
    # ... which therefore renews itself several times in between.
    "FOUNTAIN_SECRETS_RENEW_SECONDS": "5",
    # However short the run is, the event log has an anchor of it.
    "FOUNTAIN_ANCHOR_SECONDS": "10",
    # The receiver of webhooks is on this machine.
    "FOUNTAIN_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16",
}
"""What a platform must be started with for a run."""
OVERLAP_SECONDS = 5.0
DEADLINE_SECONDS = 40.0
HEALTHY_SECONDS = 90.0
FINISH_SECONDS = 60.0
OPENED_SECONDS = 20.0
_SCHEDULE = [0.0, 0.2, 0.5, *[1.0] * 29]
"""Seconds before each attempt of a delivery: a run is short."""
_THREADS = 24

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a run has shown."""

    runtime: str
    seed: int
    seconds: float
    history: History
    tallies: dict[str, Tally]
    violations: list[Violation]
    load: float = 0.0
    """How many wanted each processor of this machine at a time: where that is many, times say little."""


def perform(stack: Stack, seed: int, seconds: float, say: Say) -> Outcome:
    """Break a running platform for so many seconds, and return what that has shown.

    Args:
        stack: the platform, healthy, started with `SETTINGS`.
        seed: of the schedule.
        seconds: how long parts are broken; becoming whole and judging come on top.
        say: is told what happens.
    """
    return asyncio.run(_perform(stack, seed, seconds, say))


async def _perform(stack: Stack, seed: int, seconds: float, say: Say) -> Outcome:
    # Every disturbance occupies a thread while the runtime does it.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
    history, since = History(), time.time()
    async with Scene(stack, history) as scene:
        with Webhook(history, await asyncio.to_thread(stack.host)) as webhook:
            name = await _prepare(scene, webhook)
            aftermath = Aftermath(scene, since)
            try:
                async with _going_on(scene):
                    unfinished = await _chaos(scene, seed, seconds, say)
                    violations = unfinished + await aftermath.judge(say)
            finally:
                await _tidy(scene, name)
    _, busy, _ = os.getloadavg()
    load = busy / (os.cpu_count() or 1)
    return Outcome(stack.runtime, seed, seconds, history, aftermath.tallies, violations, load)


async def _prepare(scene: Scene, webhook: Webhook) -> str:
    """Have rotations end soon, subscribe the webhook, and return the subscription's name."""
    policy = {"overlap_seconds": OVERLAP_SECONDS, "deadline_seconds": DEADLINE_SECONDS}
    for service in sorted(set(ROTATED)):
        await _must(scene, "PUT", MANAGER, f"/secrets/{service}/rotation-policy", json=policy)
        # The edge gets a certificate for a name when it is first asked for.
        await _must(scene, "GET", service, "/health")
    name = f"chaos-{secrets.token_hex(4)}"
    wish = {"types": list(TYPES), "callback_url": webhook.url, "schedule_seconds": _SCHEDULE}
    answer = await _must(scene, "PUT", NOTIFICATION, f"/subscriptions/{name}", json=wish)
    webhook.secret = answer.json()["signing_secret"]
    return name


async def _must(scene: Scene, method: str, service: str, path: str, **options: Any) -> httpx2.Response:
    answer = await scene.ask("prepare", method, service, path, **options)
    if answer is None:
        raise StackError(f"{method} {path} at {service}: {scene.history.requests[-1].failure}")
    return answer


async def _tidy(scene: Scene, subscription: str) -> None:
    """Take back what `_prepare` did, as far as it can be reached: the platform may be somebody's."""
    await scene.ask("tidy up", "DELETE", NOTIFICATION, f"/subscriptions/{subscription}")
    for service in sorted(set(ROTATED)):
        await scene.ask("tidy up", "DELETE", MANAGER, f"/secrets/{service}/rotation-policy")


@asynccontextmanager
async def _going_on(scene: Scene) -> AsyncIterator[None]:
    """Read the stream and watch all parts meanwhile."""
    reader = Reader(scene)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in (reader.run(), watch(scene), scene.keep_tokens())]
        async with asyncio.timeout(OPENED_SECONDS):
            await reader.opened.wait()
        yield
        for task in tasks:
            task.cancel()


async def _chaos(scene: Scene, seed: int, seconds: float, say: Say) -> list[Violation]:
    """Break parts under load until the schedule is through, and wait until all of them are well again."""
    history, hand, load = scene.history, Hand(scene, say), Load(scene, seed)
    working = asyncio.create_task(load.run())
    try:
        schedule = draw(seed, scene.parts, seconds)
        await hand.follow(schedule, seconds)
        say("Everything is let go; waiting until all of it is well.")
        with suppress(TimeoutError):
            async with asyncio.timeout(HEALTHY_SECONDS):
                while any(one.recovered is None for one in history.troubles):
                    await asyncio.sleep(0.2)
        load.stop()
        async with asyncio.timeout(FINISH_SECONDS):
            await working
    except TimeoutError:
        last = next((one for one in reversed(history.requests) if one.failure), None)
        detail = f"a publish or a rotation is refused for {FINISH_SECONDS:.0f} s; last failure: {last}"
        return [
            Violation("what was begun is finished once all is well", detail, tuple(scene.instances)),
            *invariants.broken(history.troubles, len(schedule)),
        ]
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    return invariants.broken(history.troubles, len(schedule))
