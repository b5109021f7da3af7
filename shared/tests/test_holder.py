"""What a holder says to the Secrets Manager."""

import asyncio
from typing import Any

import httpx2
import pytest
from fountain_common.errors import Unavailable
from fountain_common.holder import Holder


class Peers:
    """Answers every request with a 200, and keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, dict[str, str]]] = []
        self.error: BaseException | None = None

    async def request(
        self, method: str, service: str, path: str, *, headers: dict[str, str] | None = None, **options: Any
    ) -> httpx2.Response:
        assert service == "secrets-manager"
        self.sent.append((method, path, headers or {}))
        if self.error is not None:
            raise self.error
        return httpx2.Response(200)


@pytest.fixture
def peers() -> Peers:
    return Peers()


@pytest.fixture
def holder(peers: Peers) -> Holder:
    return Holder("orders", "i" * 32, peers)


async def test_a_fresh_holder_names_no_state_and_one_that_has_held_always_does(
    holder: Holder, peers: Peers
) -> None:
    await holder.read()
    holder.keep('"state"')
    await holder.read()
    holder.forget()
    await holder.read()
    holder.keep(None)
    await holder.read()
    fresh, current, forgotten, without = (headers.get("If-None-Match") for _, _, headers in peers.sent)
    assert fresh is None
    assert current == '"state"'
    assert forgotten == without
    assert forgotten not in (None, "*", '"state"')


async def test_who_has_not_read_has_nobody_to_say_goodbye_to(holder: Holder, peers: Peers) -> None:
    await holder.leave()
    assert peers.sent == []


@pytest.mark.parametrize("error", [Unavailable("away"), httpx2.ReadError("gone"), TimeoutError()])
async def test_a_read_without_an_answer_may_have_made_a_holder_which_says_goodbye_once(
    holder: Holder, peers: Peers, error: Exception
) -> None:
    peers.error = error
    with pytest.raises(type(error)):
        await holder.read()
    await holder.leave()
    await holder.leave()
    assert [(method, path) for method, path, _ in peers.sent[1:]] == [
        ("DELETE", f"/secrets/orders/holders/{'i' * 32}")
    ]


async def test_a_read_that_was_cancelled_may_have_made_a_holder_too(holder: Holder, peers: Peers) -> None:
    peers.error = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await holder.read()
    peers.error = None
    await holder.leave()
    assert peers.sent[-1][0] == "DELETE"
