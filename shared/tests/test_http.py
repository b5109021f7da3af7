"""Calls to peers."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest
from fountain_common.errors import InvalidName, NotFound, Unavailable
from fountain_common.http import PeerUnavailable
from fountain_common.platform import Platform, create_platform
from fountain_common.requests import RequestContext, enter
from fountain_common.settings import ServiceSettings
from fountain_common.testing import World
from fountain_common.tracing import TraceParent


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def platform(settings: ServiceSettings, world: World) -> AsyncIterator[Platform]:
    platform = create_platform(settings)
    world.enter(platform)
    yield platform
    await platform.discovery.stop()
    await platform.close()


class Replicas:
    """Two instances of one service, each answering as it is told."""

    def __init__(self, world: World) -> None:
        self.seen: list[tuple[str, httpx2.Request]] = []
        self.answers: dict[str, Callable[[httpx2.Request], httpx2.Response]] = {}
        for host in ("one", "two"):
            world.serve(host, self._handler(host))
            self.answers[host] = lambda request: httpx2.Response(200, json={})
        world.gateway.add("stories", "http://one:8000", "http://two:8000")

    def _handler(self, host: str) -> Callable[[httpx2.Request], httpx2.Response]:
        def handle(request: httpx2.Request) -> httpx2.Response:
            self.seen.append((host, request))
            return self.answers[host](request)

        return handle


def dies(error: type[httpx2.TransportError]) -> Callable[[httpx2.Request], httpx2.Response]:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise error("gone", request=request)

    return answer


@pytest.fixture
def replicas(world: World) -> Replicas:
    return Replicas(world)


async def test_a_call_finds_the_peer_and_carries_a_token_for_it_alone(
    platform: Platform, replicas: Replicas, world: World
) -> None:
    assert (await platform.peers.get("stories", "/x")).status_code == 200
    _, request = replicas.seen[0]
    token = request.headers["authorization"].removeprefix("Bearer ")
    import jwt

    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["sub"], claims["aud"]) == ("orders", ["stories"])


async def test_a_peer_is_the_same_under_both_spellings_of_its_name(platform: Platform, world: World) -> None:
    async def asked(name: str) -> httpx2.Response:
        return await platform.peers.get(name, "/health")

    world.gateway.add("story-book", "http://book:8000")
    world.serve("book", lambda request: httpx2.Response(200, json={}))
    assert (await asked("story_book")).status_code == (await asked("story-book")).status_code == 200
    # By its own client, which knows its certificate: another would be told our token.
    assert (await asked("secrets_manager")).status_code == (await asked("secrets-manager")).status_code
    assert world.secrets_manager.requests.count(("GET", "/health")) == 2


@pytest.mark.parametrize("name", ["..", "", "Stories", "stories/../x", "stories.evil.example", "a\0", "ｓ"])
async def test_what_is_no_name_of_a_service_is_said_to_be_none(
    platform: Platform, world: World, name: str
) -> None:
    with pytest.raises(InvalidName):
        await platform.peers.get(name, "/x")
    with pytest.raises(InvalidName):
        async with platform.peers.stream("GET", name, "/x"):
            pass
    assert not world.secrets_manager.requests


async def test_a_token_is_asked_for_once(platform: Platform, replicas: Replicas, world: World) -> None:
    await asyncio.gather(*(platform.peers.get("stories", "/x") for _ in range(20)))
    # One for the lookup, one for the peer.
    assert world.secrets_manager.requests.count(("POST", "/auth/token")) == 2


async def test_the_request_id_and_the_trace_are_passed_on(platform: Platform, replicas: Replicas) -> None:
    trace = TraceParent("a" * 32, "b" * 16)
    enter(RequestContext("request-7", trace))
    await platform.peers.get("stories", "/x")
    _, request = replicas.seen[0]
    assert request.headers["x-request-id"] == "request-7"
    assert request.headers["traceparent"].split("-")[1] == "a" * 32


@pytest.mark.parametrize(
    "error", [httpx2.ConnectError, httpx2.ReadError, httpx2.ReadTimeout, httpx2.RemoteProtocolError]
)
async def test_an_idempotent_call_goes_on_to_another_instance(
    platform: Platform, replicas: Replicas, error: type[httpx2.TransportError]
) -> None:
    replicas.answers["one"] = dies(error)
    for _ in range(10):
        assert (await platform.peers.get("stories", "/x")).status_code == 200


async def test_a_call_with_an_idempotency_key_is_tried_again_too(
    platform: Platform, replicas: Replicas
) -> None:
    replicas.answers["one"] = dies(httpx2.ReadError)
    for number in range(6):
        answer = await platform.peers.post("stories", "/x", json={}, headers={"Idempotency-Key": str(number)})
        assert answer.status_code == 200


async def test_a_post_that_may_have_arrived_is_not_sent_twice(platform: Platform, replicas: Replicas) -> None:
    replicas.answers = dict.fromkeys(("one", "two"), dies(httpx2.ReadError))
    with pytest.raises(PeerUnavailable):
        await platform.peers.post("stories", "/x", json={})
    assert len(replicas.seen) == 1


async def test_a_post_that_was_never_sent_is_tried_elsewhere(platform: Platform, replicas: Replicas) -> None:
    replicas.answers["one"] = dies(httpx2.ConnectError)
    for _ in range(6):
        assert (await platform.peers.post("stories", "/x", json={})).status_code == 200


async def test_with_five_of_six_instances_dead_calls_go_to_the_sixth(
    platform: Platform, world: World
) -> None:
    hosts = [f"replica-{number}" for number in range(6)]
    for host in hosts:
        world.serve(host, dies(httpx2.ConnectError))
    world.serve(hosts[-1], lambda request: httpx2.Response(200, json={}))
    world.gateway.add("stories", *(f"http://{host}:8000" for host in hosts))
    assert (await platform.peers.post("stories", "/x")).status_code == 200


async def test_an_overloaded_instance_is_left_for_another(platform: Platform, replicas: Replicas) -> None:
    replicas.answers["one"] = lambda request: httpx2.Response(503)
    for _ in range(6):
        assert (await platform.peers.get("stories", "/x")).status_code == 200


async def test_an_error_of_the_peer_is_answered_as_it_is(platform: Platform, replicas: Replicas) -> None:
    replicas.answers = dict.fromkeys(("one", "two"), lambda request: httpx2.Response(409))
    assert (await platform.peers.post("stories", "/x")).status_code == 409


async def test_a_refused_token_is_replaced_once(platform: Platform, replicas: Replicas, world: World) -> None:
    refused: list[str] = []

    def picky(request: httpx2.Request) -> httpx2.Response:
        token = request.headers["authorization"]
        if not refused:
            refused.append(token)
        return httpx2.Response(401 if token == refused[0] else 200)

    replicas.answers = dict.fromkeys(("one", "two"), picky)
    assert (await platform.peers.post("stories", "/x")).status_code == 200
    replicas.answers = dict.fromkeys(("one", "two"), lambda request: httpx2.Response(401))
    replicas.seen.clear()
    assert (await platform.peers.get("stories", "/x")).status_code == 401
    assert len(replicas.seen) == 2


async def test_with_nobody_there_the_answer_is_a_503_that_names_the_peer(
    platform: Platform, replicas: Replicas
) -> None:
    replicas.answers = dict.fromkeys(("one", "two"), dies(httpx2.ConnectError))
    with pytest.raises(PeerUnavailable, match="stories") as caught:
        await platform.peers.get("stories", "/x")
    assert (caught.value.status, caught.value.extra["peer"]) == (503, "stories")


async def test_who_keeps_failing_is_left_alone(platform: Platform, replicas: Replicas, world: World) -> None:
    world.gateway.add("stories", "http://one:8000")
    replicas.answers["one"] = dies(httpx2.ConnectError)
    for _ in range(10):
        with pytest.raises(PeerUnavailable):
            await platform.peers.get("stories", "/x")
    assert len(replicas.seen) < 10


async def test_the_process_that_comes_where_one_kept_failing_is_not_left_alone(
    platform: Platform, replicas: Replicas, world: World
) -> None:
    world.gateway.add("stories", "http://one:8000")
    replicas.answers["one"] = dies(httpx2.ConnectError)
    for _ in range(10):
        with pytest.raises(PeerUnavailable):
            await platform.peers.get("stories", "/x")
    replicas.answers["one"] = lambda request: httpx2.Response(200)
    world.gateway.add("stories", "http://one:8000", first=1)
    platform.discovery.stale("stories")
    async with asyncio.timeout(5):
        while platform.discovery.who("http://one:8000")[1] != f"{1:032x}":
            await asyncio.sleep(0)
    assert (await platform.peers.get("stories", "/x")).status_code == 200


async def test_what_is_wrong_with_our_own_key_is_not_the_callers_fault(
    platform: Platform, replicas: Replicas, world: World
) -> None:
    world.secrets_manager.keys.clear()
    with pytest.raises(Unavailable):
        await platform.peers.get("stories", "/x")


async def test_a_service_that_does_not_exist_is_not_found(platform: Platform) -> None:
    with pytest.raises(NotFound):
        await platform.peers.get("nobody", "/x")


async def test_the_secrets_manager_is_never_spoken_to_by_the_common_client(
    settings: ServiceSettings, world: World
) -> None:
    platform = create_platform(settings, issuer=None, tokens=None, keys=world.secrets_manager, secrets=None)  # type: ignore[typeddict-item]
    world.enter(platform)
    with pytest.raises(PeerUnavailable):
        await platform.peers.get("secrets-manager", "/secrets/orders")
    with pytest.raises(PeerUnavailable):
        async with platform.peers.stream("GET", "secrets-manager", "/secrets/orders"):
            pass
    assert world.secrets_manager.requests == []
