"""The hand that breaks parts as the schedule says, and lets go of each whatever happens."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

from chaos.history import Trouble
from chaos.scene import Scene
from chaos.schedule import Disturbance, Kind, Part

MOST_UNWELL = 4
"""So many parts may be away or on their way back; the next one waits."""
_LOOK_SECONDS = 0.1


class Hand:
    """Breaks parts and mends them.

    Args:
        scene: what is broken.
        say: is told of each disturbance as it begins.
    """

    def __init__(self, scene: Scene, say: Callable[[str], None]) -> None:
        self._scene, self._stack, self._say = scene, scene.stack, say
        self._turns: defaultdict[Part, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def follow(self, schedule: Sequence[Disturbance], seconds: float) -> None:
        """Do all of it, each at its time or later: in its turn, once few enough others are unwell.

        Otherwise a slow machine would be kept from ever getting anything up, which says nothing about the
        platform. What has not begun after so many seconds is left out.
        """
        start = time.monotonic()
        late = 0.0
        async with asyncio.TaskGroup() as group:
            for one in schedule:
                await asyncio.sleep(max(0.0, start + one.at + late - time.monotonic()))
                while self._unwell(one.part):
                    await asyncio.sleep(_LOOK_SECONDS)
                late = time.monotonic() - start - one.at
                if one.until + late > seconds:
                    return
                group.create_task(self._disturb(one), name=str(one))
                await asyncio.sleep(0)

    def _unwell(self, part: Part) -> bool:
        """Tell whether this part has not got up yet, or so many others have not."""
        unwell = {one.part for one in self._scene.history.troubles if one.recovered is None}
        return part in unwell or len(unwell) >= MOST_UNWELL

    async def _disturb(self, one: Disturbance) -> None:
        async with self._turns[one.part]:
            trouble = Trouble(one.part, one.kind, time.time())
            self._scene.history.troubles.append(trouble)
            self._scene.forget(one.part)
            self._say(str(one))
            try:
                await self._break(one)
            except Exception as error:  # noqa: BLE001 - what a runtime refuses is written down; the run goes on
                trouble.note = f"{type(error).__name__}: {error}"
                self._say(f"  {one} went wrong: {trouble.note}")
            trouble.ended = time.time()

    async def _break(self, one: Disturbance) -> None:
        service, replica = one.part.service, one.part.replica
        match one.kind:
            case Kind.KILL:
                await asyncio.to_thread(self._stack.kill, service, replica)
            case Kind.STOP | Kind.RESTART:
                try:
                    await asyncio.to_thread(self._stack.halt, service, replica)
                    await asyncio.sleep(one.seconds)
                finally:
                    await asyncio.to_thread(self._stack.resume, service, replica)
            case Kind.PAUSE:
                try:
                    await asyncio.to_thread(self._stack.freeze, service, replica)
                    await asyncio.sleep(one.seconds)
                finally:
                    await asyncio.to_thread(self._stack.thaw, service, replica)
