"""Asks every part how it is, all the time: from this come the times of recovery."""

import asyncio
import time

from chaos.scene import EDGE_PART, Scene
from chaos.schedule import Part

_CALM_SECONDS = 1.0
_EAGER_SECONDS = 0.2
_ANSWER_SECONDS = 5.0


async def watch(scene: Scene) -> None:
    """Watch all parts until cancelled."""
    async with asyncio.TaskGroup() as group:
        for part in scene.parts:
            group.create_task(_watch(scene, part), name=f"watch {part}")


async def _watch(scene: Scene, part: Part) -> None:
    while True:
        let_go = [one for one in scene.history.troubles if one.part == part and one.recovered is None]
        if let_go:
            await scene.locate(part)
        asked = time.time()
        if await _well(scene, part):
            for one in let_go:
                if one.ended is not None and asked >= one.ended:
                    one.recovered = asked
        await asyncio.sleep(_EAGER_SECONDS if let_go else _CALM_SECONDS)


async def _well(scene: Scene, part: Part) -> bool:
    """Tell whether a part answers its health check with 200; the edge, whether it answers at all."""
    if part == EDGE_PART:
        return await scene.ask_edge("health of the edge", _ANSWER_SECONDS) is not None
    answer = await scene.ask_part("health", part, "/health", anonymous=True, timeout=_ANSWER_SECONDS)
    return answer is not None and answer.json().get("service") == part.service
