"""What is published goes to the notification service, and its refusals are told as what they are."""

from typing import Any, cast

import httpx2
import orjson
import pytest
from fountain_common.errors import BadRequest, Conflict, Forbidden, Problem, Unavailable
from fountain_common.http import Peers
from fountain_common.publisher import PeerPublisher, TokenNotHonoured

pytestmark = pytest.mark.anyio

EVENT = {"id": "e1", "type": "order.placed", "data": {"text": "ä"}}


class Answering:
    """Peers of which one answers the same to everything."""

    def __init__(self, status: int, answer: Any) -> None:
        self._answer = httpx2.Response(status, json=answer)
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []

    async def post(
        self, service: str, path: str, *, headers: dict[str, str], json: Any = None, content: bytes = b"null"
    ) -> httpx2.Response:
        self.asked.append((service, path, headers, json or orjson.loads(content)))
        return self._answer


def publisher(status: int, answer: Any) -> tuple[PeerPublisher, Answering]:
    peers = Answering(status, answer)
    return PeerPublisher(cast("Peers", peers)), peers


@pytest.mark.parametrize("status", [200, 201])
async def test_an_event_goes_with_its_key_and_the_stored_one_comes_back(status: int) -> None:
    ours, peers = publisher(status, {**EVENT, "position": 7})
    assert (await ours.publish(EVENT, "k"))["position"] == 7
    assert peers.asked == [("notification", "/notifications", {"Idempotency-Key": "k"}, EVENT)]


async def test_events_that_go_together_are_one_list_in_their_order() -> None:
    ours, peers = publisher(201, {"items": []})
    await ours.publish_all(orjson.dumps([EVENT, {**EVENT, "id": "e2"}]))
    [(service, path, headers, sent)] = peers.asked
    assert (service, path) == ("notification", "/notifications/batch")
    assert headers == {"Content-Type": "application/json"}
    assert sent == [EVENT, {**EVENT, "id": "e2"}]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, TokenNotHonoured),
        (403, Forbidden),
        (409, Conflict),
        (500, Unavailable),
        (302, Unavailable),
    ],
)
async def test_a_refusal_says_why(status: int, kind: type[Problem]) -> None:
    ours, _ = publisher(status, {"detail": "for this reason"})
    with pytest.raises(kind, match="for this reason"):
        await ours.publish(EVENT, "k")
    with pytest.raises(kind, match="for this reason"):
        await ours.publish_all(orjson.dumps([EVENT]))


@pytest.mark.parametrize("status", [404, 405])
async def test_an_older_service_is_asked_one_by_one(status: int) -> None:
    ours, _ = publisher(status, {"detail": "not found"})
    with pytest.raises(BadRequest, match="one event at a time"):
        await ours.publish_all(orjson.dumps([EVENT]))


@pytest.mark.parametrize("answer", [["no", "event"], None, "text"])
async def test_an_answer_that_is_no_event_is_not_taken_for_one(answer: Any) -> None:
    ours, _ = publisher(201, answer)
    with pytest.raises(Problem):
        await ours.publish(EVENT, "k")


async def test_that_our_own_token_is_not_honoured_is_no_401_for_whoever_asked_us() -> None:
    ours, _ = publisher(401, {"detail": "Its signing key is not known."})
    with pytest.raises(TokenNotHonoured) as refused:
        await ours.publish(EVENT, "k")
    assert refused.value.status == 503
    assert "WWW-Authenticate" not in refused.value.headers
