"""Finding the others."""

import asyncio
from collections.abc import Callable

import pytest
from fountain_common.discovery import Discovery, Instance, Lookup
from fountain_common.errors import NotFound, Unavailable
from fountain_common.testing import FakeClock


class Directory:
    def __init__(self) -> None:
        self.known: dict[str, tuple[Instance, ...]] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.down = False

    def put(self, name: str, *urls: str, status: str = "up") -> None:
        self.known[name] = tuple(Instance(str(number), url, "1", status) for number, url in enumerate(urls))

    async def lookup(self, name: str, etag: str | None) -> Lookup | None:
        self.asked.append((name, etag))
        await asyncio.sleep(0)
        if self.down:
            raise Unavailable("The gateway is not reachable.")
        if name not in self.known:
            raise NotFound("There is no such service. Did you mean stories?")
        now = str(hash(self.known[name]))
        return None if etag == now else Lookup(name, self.known[name], now)


@pytest.fixture
def directory() -> Directory:
    directory = Directory()
    directory.put("stories", "http://a", "http://b", "http://c")
    return directory


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(0.0)


@pytest.fixture
def discovery(directory: Directory, clock: FakeClock) -> Discovery:
    return Discovery(directory, {"gateway-lookup": "http://gateway:8000/"}, monotonic=clock)


async def settled(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0)


async def test_instances_take_turns_from_memory(discovery: Discovery, directory: Directory) -> None:
    found = [await discovery.resolve("stories") for _ in range(6)]
    assert sorted(found) == sorted(["http://a", "http://b", "http://c"] * 2)
    assert len(directory.asked) == 1


async def test_an_address_that_is_a_setting_is_not_asked_for(
    discovery: Discovery, directory: Directory
) -> None:
    assert await discovery.resolve("gateway-lookup") == "http://gateway:8000"
    assert directory.asked == []


async def test_what_was_found_is_given_at_once_and_revalidated_behind(
    discovery: Discovery, directory: Directory, clock: FakeClock
) -> None:
    await discovery.resolve("stories")
    clock.advance(11)
    await discovery.resolve("stories")
    await settled(lambda: len(directory.asked) == 2)
    assert directory.asked[1][1] is not None


async def test_through_an_outage_of_the_gateway_nobody_is_lost(
    discovery: Discovery, directory: Directory, clock: FakeClock
) -> None:
    await discovery.resolve("stories")
    directory.down = True
    for _ in range(100):
        clock.advance(60)
        assert (await discovery.resolve("stories")).startswith("http://")
        await asyncio.sleep(0)
    await settled(lambda: not discovery.healthy)
    assert len(directory.asked) <= 101


async def test_an_instance_that_failed_is_passed_over_for_five_seconds(
    discovery: Discovery, clock: FakeClock
) -> None:
    await discovery.resolve("stories")
    discovery.failed("http://b")
    assert "http://b" not in {await discovery.resolve("stories") for _ in range(9)}
    clock.advance(5.1)
    assert "http://b" in {await discovery.resolve("stories") for _ in range(9)}


async def test_the_next_one_at_an_address_is_not_passed_over_for_what_the_last_one_did(
    discovery: Discovery, directory: Directory
) -> None:
    directory.known["stories"] = (Instance("1", "http://a"), Instance("2", "http://b"))
    await discovery.resolve("stories")
    before = discovery.who("http://a")
    discovery.failed("http://a")
    assert {await discovery.resolve("stories") for _ in range(4)} == {"http://b"}
    directory.known["stories"] = (Instance("3", "http://a"), Instance("2", "http://b"))
    discovery.stale("stories")
    await settled(lambda: discovery.who("http://a") != before)
    assert {await discovery.resolve("stories") for _ in range(4)} == {"http://a", "http://b"}


async def test_who_is_where_is_remembered_though_the_service_was_gone_meanwhile(
    discovery: Discovery, directory: Directory
) -> None:
    directory.known["stories"] = (Instance("1", "http://a"),)
    await discovery.resolve("stories")
    discovery.failed("http://a")
    before = discovery.who("http://a")
    del directory.known["stories"]
    discovery.stale("stories")
    await settled(lambda: discovery.known("stories") == 0)
    await discovery.stop()
    directory.known["stories"] = (Instance("2", "http://a"),)
    assert await discovery.resolve("stories") == "http://a"
    assert discovery.who("http://a") != before


async def test_when_all_have_failed_the_gateway_is_asked_and_then_one_is_tried_all_the_same(
    discovery: Discovery, directory: Directory
) -> None:
    await discovery.resolve("stories")
    for url in ("http://a", "http://b", "http://c"):
        discovery.failed(url)
    assert await discovery.resolve("stories") in {"http://a", "http://b", "http://c"}
    directory.put("stories", "http://d")
    discovery.stale("stories")
    await settled(lambda: not discovery._asking)
    assert await discovery.resolve("stories") == "http://d"


async def test_an_event_makes_a_new_instance_known(discovery: Discovery, directory: Directory) -> None:
    await discovery.resolve("stories")
    directory.put("stories", "http://new")
    discovery.stale("stories")
    await settled(lambda: not discovery._asking)
    assert await discovery.resolve("stories") == "http://new"


async def test_draining_instances_are_used_only_when_there_is_no_other(
    discovery: Discovery, directory: Directory
) -> None:
    directory.known["stories"] = (Instance("0", "http://a"), Instance("1", "http://b", status="draining"))
    assert {await discovery.resolve("stories") for _ in range(4)} == {"http://a"}
    directory.put("stories", "http://b", status="draining")
    discovery.stale()
    await settled(lambda: not discovery._asking)
    assert await discovery.resolve("stories") == "http://b"


async def test_an_unknown_name_says_which_are_near(discovery: Discovery) -> None:
    with pytest.raises(NotFound, match="stories"):
        await discovery.resolve("storys")


async def test_a_service_that_has_gone_is_not_found_any_more(
    discovery: Discovery, directory: Directory
) -> None:
    await discovery.resolve("stories")
    directory.known.clear()
    discovery.stale("stories")
    await settled(lambda: not discovery._asking)
    with pytest.raises(NotFound):
        await discovery.resolve("stories")


async def test_one_that_was_never_found_is_waited_for_while_the_gateway_is_started_again(
    discovery: Discovery, directory: Directory
) -> None:
    directory.put("links", "http://l")
    await discovery.resolve("links")
    directory.down = True
    looking = asyncio.create_task(discovery.resolve("stories"))
    await settled(lambda: len(directory.asked) >= 3)
    directory.down = False
    assert await looking in {"http://a", "http://b", "http://c"}


async def test_a_gateway_that_stays_away_is_not_waited_for_again_and_again(directory: Directory) -> None:
    discovery = Discovery(directory, patience=0.1)
    with pytest.raises(NotFound):
        await discovery.resolve("nobody")
    directory.down = True
    for _ in range(2):
        with pytest.raises(Unavailable):
            await discovery.resolve("stories")
    asked = len(directory.asked)
    with pytest.raises(Unavailable):
        await discovery.resolve("stories")
    assert len(directory.asked) == asked + 1


async def test_a_gateway_that_never_answered_is_not_waited_for(
    discovery: Discovery, directory: Directory
) -> None:
    directory.down = True
    with pytest.raises(Unavailable):
        await discovery.resolve("stories")
    assert len(directory.asked) == 1


async def test_many_who_look_for_one_name_ask_once(discovery: Discovery, directory: Directory) -> None:
    await asyncio.gather(*(discovery.resolve("stories") for _ in range(50)))
    assert len(directory.asked) == 1


async def test_a_resolved_lookup_waits_for_nothing(discovery: Discovery) -> None:
    await discovery.resolve("stories")
    with pytest.raises(StopIteration):  # it is over at its first step
        discovery.resolve("stories").send(None)


class Slow(Directory):
    """Answers when a test lets it, with what was so when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[asyncio.Future[None]] = []

    async def lookup(self, name: str, etag: str | None) -> Lookup | None:
        self.asked.append((name, etag))
        found = self.known[name]
        self.answers.append(asyncio.get_running_loop().create_future())
        await self.answers[-1]
        return Lookup(name, found, etag)

    async def let_answer(self, discovery: Discovery, number: int) -> None:
        self.answers[number].set_result(None)
        await settled(lambda: not discovery._asking or len(self.answers) > number + 1)


@pytest.fixture
async def slow() -> Slow:
    slow = Slow()
    slow.put("stories", "http://a")
    return slow


async def found_slowly(slow: Slow) -> Discovery:
    discovery = Discovery(slow)
    looking = asyncio.create_task(discovery.resolve("stories"))
    await settled(lambda: slow.answers)
    await slow.let_answer(discovery, 0)
    assert await looking == "http://a"
    return discovery


async def test_what_changes_while_it_is_asked_for_is_asked_for_once_more(slow: Slow) -> None:
    discovery = await found_slowly(slow)
    discovery.stale("stories")
    await settled(lambda: len(slow.answers) == 2)
    slow.put("stories", "http://new")
    discovery.stale("stories")
    await slow.let_answer(discovery, 1)
    await slow.let_answer(discovery, 2)
    assert await discovery.resolve("stories") == "http://new"
    assert len(slow.asked) == 3
    await discovery.stop()


async def test_what_changes_just_after_an_answer_is_asked_for_again(slow: Slow) -> None:
    discovery = await found_slowly(slow)
    discovery.stale("stories")
    await settled(lambda: len(slow.answers) == 2)
    slow.put("stories", "http://new")
    slow.answers[1].set_result(None)
    # It comes behind the task that is over by then, and before anybody is told that it is.
    asyncio.get_running_loop().call_soon(discovery.stale, "stories")
    await settled(lambda: len(slow.answers) == 3)
    await slow.let_answer(discovery, 2)
    assert await discovery.resolve("stories") == "http://new"
    await discovery.stop()


async def test_the_end_of_one_question_does_not_have_the_next_one_forgotten(slow: Slow) -> None:
    discovery = await found_slowly(slow)
    discovery.stale("stories")
    await settled(lambda: len(slow.answers) == 2)
    slow.answers[1].set_result(None)
    asyncio.get_running_loop().call_soon(discovery.stale, "stories")
    await settled(lambda: len(slow.answers) == 3)
    discovery.stale("stories")
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(slow.answers) == 3, "it is under way"
    await discovery.stop()
    assert slow.answers[2].cancelled()
