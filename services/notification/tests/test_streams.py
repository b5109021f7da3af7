"""Streams."""

import socket
import time
from typing import Any

import httpx2
import pytest
from fountain_common.testing import World, wait_until


def test_a_stream_gets_what_is_published_from_when_it_is_subscribed(start: Any, listen: Any) -> None:
    running = start()
    running.publish("order.placed", "before")
    stream = listen(running, "order.*")
    event = running.publish("order.placed", "o1", {"total": 3})
    [(id_, kind, data)] = stream.wait_for(1)
    assert (kind, data) == ("", event)
    assert id_ == f"{running.board.log.epoch}-{event['position']}"
    assert stream.answer.headers["content-type"].startswith("text/event-stream")
    assert stream.answer.headers["cache-control"] == "no-store"


def test_a_reader_resumes_behind_what_it_had_across_a_restart(start: Any, listen: Any) -> None:
    running = start()
    events = [running.publish("order.placed", data=number) for number in range(3)]
    epoch = running.board.log.epoch
    running.stop()
    again = start(running.world)
    stream = listen(again, "order.*", after=f"{epoch}-{events[0]['position']}")
    events.append(again.publish("order.placed", data=3))
    stream.wait_for(3)
    assert stream.positions == [event["position"] for event in events[1:]]


def test_who_has_had_nothing_yet_can_resume_from_the_answers_header(start: Any, listen: Any) -> None:
    running = start()
    stream = listen(running, "order.*")
    place = stream.answer.headers["last-event-id"]
    missed = running.publish("order.placed")
    assert listen(running, "order.*", after=place).wait_for(1)[0][2] == missed


@pytest.mark.parametrize("unknown", ["another-epoch-3", "nonsense", "{epoch}-999999"])
def test_an_unknown_place_yields_a_gap_and_then_what_there_is(start: Any, listen: Any, unknown: str) -> None:
    running = start()
    event = running.publish("order.placed")
    epoch = running.board.log.epoch
    stream = listen(running, "order.*", after=unknown.format(epoch=epoch))
    (_, kind, gap), (_, _, data) = stream.wait_for(2)
    assert kind == "gap"
    assert gap == {"epoch": epoch, "earliest_position": 1, "latest_position": event["position"]}
    assert data == event


def test_what_retention_removed_yields_a_gap_and_what_others_removed_does_not(
    start: Any, listen: Any
) -> None:
    running = start(retention="noise.*=0s,>=7d", retained_per_type=0, retention_interval_seconds=0.2)
    first = running.publish("order.placed")
    running.publish("noise.made")
    running.publish("noise.made")
    last = running.publish("order.placed")
    log = running.board.log
    place = f"{log.epoch}-{first['position']}"
    with running.client() as client:
        wait_until(
            lambda: not client.get("/notifications?type=noise.*").json()["items"], "the noise is removed"
        )
    assert [kind for _, kind, _ in listen(running, after=place).wait_for(2)] == ["gap", ""]
    quiet = listen(running, "order.*", after=place).wait_for(1)
    assert [(kind, data) for _, kind, data in quiet] == [("", last)]


def test_a_stream_says_that_it_lives(start: Any, listen: Any) -> None:
    running = start(stream_heartbeat_seconds=1)
    stream = listen(running, "order.*")
    wait_until(lambda: ": heartbeat" in stream.comments, "a heartbeat")
    position = running.publish("link.made")["position"]
    wait_until(lambda: stream.bookmark.endswith(f"-{position}"), "the place to resume from")
    assert stream.events == []
    assert not stream.events


def test_a_stream_ends_with_its_token(start: Any, listen: Any) -> None:
    running = start()
    stream = listen(running, subject="two-factor", roles=["service"], exp=time.time() + 1.5)
    wait_until(lambda: stream.ended, "the stream ends", 6)


def test_a_stream_ends_when_its_reader_is_revoked_and_others_go_on(start: Any, listen: Any) -> None:
    world = World()
    running = start(world)
    revoked = listen(running, "order.*", subject="two-factor", roles=["service"])
    other = listen(running, "order.*")
    world.secrets_manager.revoke(subject="two-factor")
    with running.client("secrets-manager", ["service"]) as client:
        body = {"type": "identity.revoked", "subject": "two-factor", "data": {"identity": "two-factor"}}
        assert client.post("/notifications", json=body).status_code == 201
    wait_until(lambda: revoked.ended, "the stream ends")
    running.publish("order.placed")
    other.wait_for(1)
    assert not other.ended


def test_types_are_filtered_by_patterns(start: Any, listen: Any) -> None:
    running = start()
    streams = {
        pattern: listen(running, pattern) for pattern in ("order.*", "order.>", "order.*,link.made", ">")
    }
    for type_ in ("order.placed", "order.placed.twice", "link.made", "link.lost"):
        running.publish(type_)
    streams[">"].wait_for(4)
    expected = {"order.*": 1, "order.>": 2, "order.*,link.made": 2, ">": 4}
    for pattern, count in expected.items():
        assert len(streams[pattern].wait_for(count)) == count
    with running.client() as client:
        assert client.get("/notifications/stream?type=a..b").status_code == 422


def test_of_some_types_only_what_is_about_a_subject_is_sent(start: Any, listen: Any) -> None:
    running = start()
    narrow = listen(running, "order.*,link.*", about="order.*:mine")
    for type_, subject in (("order.placed", "theirs"), ("order.placed", "mine"), ("link.made", "theirs")):
        running.publish(type_, subject=subject)
    assert [(data["type"], data["subject"]) for _, _, data in narrow.wait_for(2)] == [
        ("order.placed", "mine"),
        ("link.made", "theirs"),
    ]
    with running.client() as client:
        assert client.get("/notifications/stream?about=order.*").status_code == 422


def test_an_event_for_one_identity_is_on_no_other_stream(start: Any, listen: Any) -> None:
    running = start()
    admin, mine = (
        listen(running, "order.*"),
        listen(running, "order.*", subject="two-factor", roles=["service"]),
    )
    running.publish("order.placed", data="private", recipient="two-factor")
    running.publish("order.placed", data="public")
    assert [data["data"] for _, _, data in mine.wait_for(2)] == ["private", "public"]
    assert [data["data"] for _, _, data in admin.wait_for(1)] == ["public"]


def test_a_reader_that_takes_nothing_is_disconnected_and_holds_up_nobody(
    start: Any, listen: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # Longer than a busy machine keeps the other from reading.
    running = start(stream_stall_seconds=2)
    address = running.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1]))) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        token = running.bearer()["Authorization"]
        slow.sendall(
            f"GET /notifications/stream HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode()
        )
        wait_until(lambda: len(running.board.streams) == 2, "it is subscribed")
        other = listen(running)
        for number in range(200):
            running.publish("order.placed", data={"number": number, "padding": "x" * 60_000})
            if len(running.board.streams) == 2:
                break
        wait_until(lambda: len(running.board.streams) == 2, "the slow one is disconnected")
        wait_until(
            lambda: other.positions and other.positions[-1] == running.board.log.latest, "the other has all"
        )
    assert "without completing response" not in caplog.text
    with running.client() as client:
        assert 'fountain_notification_streams_ended_total{reason="slow"} 1.0' in client.get("/metrics").text


def test_more_streams_than_allowed_are_refused_for_now(start: Any, listen: Any) -> None:
    running = start(max_streams=2)
    listen(running)
    with running.client() as client:
        response = client.get("/notifications/stream")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"


def test_httpx2s_own_reader_understands_the_stream_and_resumes(start: Any) -> None:
    running = start()
    first = running.publish("order.placed", data=1)
    second = running.publish("order.placed", data=2)
    with (
        running.client() as client,
        client.stream(
            "GET",
            "/notifications/stream?type=order.*",
            headers={"Last-Event-ID": f"{running.board.log.epoch}-0"},
        ) as response,
    ):
        source = iter(httpx2.EventSource(response))
        event = next(source)
        assert event.json() == first
        assert next(source).json() == second
    with (
        running.client() as client,
        client.stream(
            "GET", "/notifications/stream?type=order.*", headers={"Last-Event-ID": event.id}
        ) as response,
    ):
        assert next(iter(httpx2.EventSource(response))).json() == second


def test_streams_end_at_once_when_the_service_stops(start: Any, listen: Any) -> None:
    running = start()
    stream = listen(running)
    running.app.state.platform.stopping.set()
    running.stop()
    wait_until(lambda: stream.ended, "the stream ends", 2)
