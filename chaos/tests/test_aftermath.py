"""What is asked of a calm platform, and how often."""

import asyncio
from collections import Counter
from typing import Any, cast

import httpx2

from chaos import aftermath
from chaos.aftermath import Aftermath, spread_over
from chaos.history import History, NewVersion
from chaos.load import fingerprint
from chaos.scene import Scene

SERVICE = "example-consumer"


def values(version: int) -> dict[str, str]:
    return {"JWT_SECRET": f"value {version}"}


class Manager:
    """Stands for a platform whose Secrets Manager has so many versions, and has spoilt or lost some."""

    def __init__(self, versions: int, spoilt: tuple[int, ...] = (), lost: tuple[int, ...] = ()) -> None:
        self.history = History()
        self.history.versions = [
            NewVersion(SERVICE, number, fingerprint(values(number))) for number in range(1, versions + 1)
        ]
        self.spoilt, self.lost = spoilt, lost
        self.read: Counter[int] = Counter()

    async def ask(
        self, _kind: str, _method: str, _service: str, path: str, *, params: dict[str, Any]
    ) -> httpx2.Response | None:
        if path.endswith("/versions"):
            items = [{"version": one.version} for one in self.history.versions]
            return httpx2.Response(200, json={"items": items, "next": None})
        number = params.get("version", len(self.history.versions))
        if "version" in params:
            self.read[number] += 1
        await asyncio.sleep(0)
        if number in self.lost:
            return None
        return httpx2.Response(
            200, json={"version": number, "secrets": values(0 if number in self.spoilt else number)}
        )

    def judge(self, times: int = 1) -> list[str]:
        async def run() -> list[str]:
            looking = Aftermath(cast("Scene", self), 0.0)
            for _ in range(times):
                found = await looking._versions()
            return [one.detail for one in found]

        return asyncio.run(run())


def test_every_version_that_was_given_is_read_again() -> None:
    manager = Manager(20)
    assert manager.judge() == []
    assert set(manager.read) == set(range(1, 21))


def test_a_retired_version_that_is_spoilt_or_lost_is_found() -> None:
    spoilt, lost = Manager(5, spoilt=(2,), lost=(4,)).judge()
    assert "version 2 has other values" in spoilt
    assert "version 4 was given and does not open" in lost


def test_only_what_is_in_doubt_is_read_a_second_time() -> None:
    manager = Manager(5, spoilt=(2,))
    assert len(manager.judge(times=3)) == 1
    assert manager.read == {1: 1, 2: 3, 3: 1, 4: 1, 5: 1}


def test_a_long_run_reads_a_bounded_number_from_the_first_to_the_last() -> None:
    many = Manager(3 * aftermath._VERSIONS)
    assert many.judge() == []
    assert sum(many.read.values()) == aftermath._VERSIONS
    assert {1, 3 * aftermath._VERSIONS} < set(many.read)
    assert spread_over(many.history.versions[:3], 5) == many.history.versions[:3]
