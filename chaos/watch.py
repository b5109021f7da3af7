"""Asks every part how it is, all the time: from this come the times of recovery.

A part is well when it answers its health check with 200. One that has started anew is well once it has had
the Secrets Manager and the gateway too: until then it knows nobody's token, and nobody finds it.
"""

import asyncio
import time

from chaos.scene import EDGE_PART, GATEWAY, MANAGER, Scene
from chaos.schedule import Kind, Part

_CALM_SECONDS = 1.0
_EAGER_SECONDS = 0.3
_ANSWER_SECONDS = 5.0
_BY_WHICH_IT_JOINS = frozenset({MANAGER, GATEWAY})


async def watch(scene: Scene) -> None:
    """Watch all parts until cancelled."""
    async with asyncio.TaskGroup() as group:
        for part in scene.parts:
            group.create_task(_watch(scene, part), name=f"watch {part}")


async def _watch(scene: Scene, part: Part) -> None:
    while True:
        let_go = [one for one in scene.history.troubles if one.part == part and one.recovered is None]
        if let_go and scene.moves:
            await scene.locate(part)
        asked = time.time()
        missing = await _missing(scene, part)
        for one in let_go:
            blind = one.kind is not Kind.PAUSE and not _BY_WHICH_IT_JOINS.isdisjoint(missing or ())
            if missing is not None and one.ended is not None and asked >= one.ended:
                one.answered = one.answered or asked
                one.recovered = None if blind else asked
        await asyncio.sleep(_EAGER_SECONDS if let_go else _CALM_SECONDS)


async def _missing(scene: Scene, part: Part) -> list[str] | None:
    """Return which peers a part misses; None if it is not well."""
    if part == EDGE_PART:
        answer = await scene.ask_edge("health of the edge", _ANSWER_SECONDS)
        return None if answer is None else []
    answer = await scene.ask_part("health", part, "/health", anonymous=True, timeout=_ANSWER_SECONDS)
    if answer is None or answer.json()["service"] != part.service:
        return None
    return list(answer.json()["degraded"])
