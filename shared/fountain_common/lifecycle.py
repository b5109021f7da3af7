"""What a service says about itself: started, stopping, degraded, recovered."""

import asyncio
from contextlib import suppress
from typing import Any

from fountain_common.errors import Problem
from fountain_common.events import Events
from fountain_common.health import Health
from fountain_common.logging import get_logger

LOOK_SECONDS = 5.0
STOPPING_SECONDS = 1.0
MAX_WAITING = 20
_HOPELESS = frozenset({400, 403, 413, 422})


class LifecycleNews:
    """Publishes a service's own life, without ever standing in its way.

    What cannot be published at once waits in memory, a bounded number of it, and goes out in order.

    Args:
        service: its name; also the subject.
        instance_id: of this process.
        events: where to; None says nothing.
        health: is looked at every five seconds.
    """

    def __init__(self, service: str, instance_id: str, events: Events | None, health: Health) -> None:
        self._service, self._instance_id, self._events, self._health = service, instance_id, events, health
        self._waiting: asyncio.Queue[tuple[str, dict[str, Any], str]] = asyncio.Queue(MAX_WAITING)
        self._tasks: list[asyncio.Task[None]] = []
        self._said = 0
        self.version = ""

    async def start(self) -> None:
        """Say that the service has started, and go on to watch its health."""
        if self._events is None:
            return
        self._waiting = asyncio.Queue(MAX_WAITING)
        self.say("service.started")
        self._tasks = [
            asyncio.create_task(self._send(), name="lifecycle events"),
            asyncio.create_task(self._watch(), name="health watch"),
        ]

    async def stop(self) -> None:
        """Say that the service is about to stop; waits at most a second for that to be heard."""
        if self._events is None or not self._tasks:
            return
        self._tasks[1].cancel()
        self.say("service.stopping")
        with suppress(TimeoutError):
            async with asyncio.timeout(STOPPING_SECONDS):
                await self._waiting.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def say(self, type: str, **data: object) -> None:  # noqa: A002 - the name that CloudEvents gave it
        """Have an event about this service published soon; the oldest that waits gives way to it."""
        if self._waiting.full():
            self._waiting.get_nowait()
            self._waiting.task_done()
        self._said += 1
        about = {"service_name": self._service, "instance_id": self._instance_id, "version": self.version}
        self._waiting.put_nowait((type, {**about, **data}, f"{self._instance_id}-{self._said}"))

    async def _send(self) -> None:
        while True:
            type_, data, key = await self._waiting.get()
            try:
                await self._until_accepted(type_, data, key)
            finally:
                self._waiting.task_done()

    async def _until_accepted(self, type_: str, data: dict[str, Any], key: str) -> None:
        assert self._events is not None  # noqa: S101 - for the type checker; `start` made sure
        pause = 0.5
        while True:
            try:
                await self._events.publish(type_, self._service, data, idempotency_key=key)
                return
            except Problem as problem:
                if problem.status in _HOPELESS:
                    get_logger().warning("lifecycle_event_refused", type=type_, reason=problem.detail)
                    return
            except Exception as error:  # noqa: BLE001 - news about ourselves must not end us
                get_logger().warning("lifecycle_event_waits", type=type_, error=type(error).__name__)
            if self._waiting.full():
                return
            await asyncio.sleep(pause)
            pause = min(10.0, pause * 2)

    async def _watch(self) -> None:
        before: frozenset[str] = frozenset()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            report = await self._health.report()
            missing = frozenset(name for name, state in report.checks.items() if state != "ok")
            if missing and missing != before:
                self.say("service.degraded", degraded=sorted(missing))
            elif before and not missing:
                self.say("service.recovered", recovered=sorted(before))
            before = missing
