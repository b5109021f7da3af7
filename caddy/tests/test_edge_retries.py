"""What the edge does when an instance is dead, dies, or stays away."""

import time
from collections.abc import Iterator

import pytest
from conftest import World
from edge import DOMAIN, Dying, Stub
from fountain_common.ports import free_port


def test_when_one_of_two_instances_is_dead_requests_go_to_the_other(world: World) -> None:
    other = Stub("other").start()
    other.answer = lambda seen: (200, {"X-From": "other"}, seen.body)
    world.routes["pair"] = (free_port(), other.port)
    try:
        for turn in range(12):
            method = "POST" if turn % 2 else "GET"
            answer = world.edge.request(method, f"pair.{DOMAIN}", "/", content=b"x" if turn % 2 else b"")
            assert (answer.status_code, answer.headers.get("x-from")) == (200, "other")
    finally:
        other.stop()
    # A dead instance of one service says nothing about the others.
    assert world.edge.get(f"shop.{DOMAIN}").status_code == 200


@pytest.mark.parametrize(
    ("method", "headers", "body"),
    [
        ("GET", {}, b""),
        ("HEAD", {}, b""),
        ("DELETE", {}, b""),
        ("PUT", {}, b"x" * 10_000),
        ("POST", {"Idempotency-Key": "k"}, b"x" * 10_000),
    ],
)
def test_what_may_arrive_twice_is_sent_again_when_its_instance_dies(
    world: World, method: str, headers: dict[str, str], body: bytes
) -> None:
    dying = Dying()
    world.routes["pair"] = (dying.port, world.shop.port)
    try:
        for _ in range(4):
            answer = world.edge.request(method, f"pair.{DOMAIN}", "/", headers=headers, content=body)
            assert (answer.status_code, answer.headers["x-from"]) == (200, "shop")
            assert world.shop.seen[-1].body == body
        assert dying.requests
    finally:
        dying.stop()


def test_what_may_arrive_once_only_is_not_sent_again(world: World) -> None:
    dying = Dying()
    world.routes["pair"] = (dying.port, world.shop.port)
    try:
        statuses = [
            world.edge.request("POST", f"pair.{DOMAIN}", "/", content=b"x").status_code for _ in range(6)
        ]
    finally:
        dying.stop()
    assert set(statuses) == {200, 502}
    assert len(dying.requests) + len(world.shop.seen) == 6


@pytest.mark.parametrize(
    ("method", "chunked"), [("PUT", False), ("DELETE", True), ("GET", True)], ids=["PUT", "DELETE", "GET"]
)
def test_a_body_that_is_too_large_to_keep_is_not_sent_again_in_part(
    world: World, method: str, chunked: bool
) -> None:
    dying, body = Dying(), b"x" * 200_000
    world.routes["pair"] = (dying.port, world.shop.port)

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    try:
        statuses = [
            world.edge.request(
                method, f"pair.{DOMAIN}", "/", content=pieces() if chunked else body
            ).status_code
            for _ in range(4)
        ]
    finally:
        dying.stop()
    assert dying.requests
    assert set(statuses) <= {200, 502}
    assert {seen.body for seen in world.shop.seen} <= {body}


def test_a_body_of_unknown_length_that_was_kept_whole_is_sent_again(world: World) -> None:
    dying = Dying()
    world.routes["pair"] = (dying.port, world.shop.port)
    try:
        for _ in range(4):
            answer = world.edge.request(
                "PUT", f"pair.{DOMAIN}", "/", content=iter([b"x" * 1000, b"y" * 1000])
            )
            assert answer.status_code == 200
            assert world.shop.seen[-1].body == b"x" * 1000 + b"y" * 1000
        assert dying.requests
    finally:
        dying.stop()


def test_with_three_of_four_instances_dead_requests_go_to_the_fourth(world: World) -> None:
    world.routes["four"] = (free_port(), free_port(), world.shop.port, free_port())
    for method in ("GET", "POST") * 3:
        answer = world.edge.request(method, f"four.{DOMAIN}", "/", content=b"x")
        assert (answer.status_code, answer.headers.get("x-from")) == (200, "shop")


def test_a_service_that_stays_away_is_a_problem_with_the_usual_headers(world: World) -> None:
    port = free_port()
    world.routes["away"] = (port, port)
    began = time.monotonic()
    answer = world.edge.get(f"away.{DOMAIN}")
    assert answer.status_code in (502, 503, 504)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    assert answer.headers["x-frame-options"] == "DENY"
    assert time.monotonic() - began < 12
