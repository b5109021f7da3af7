import pytest
from fountain_common.requests import (
    Edge,
    accept,
    client_address,
    current,
    enter,
    leave,
    outgoing_headers,
    plain_address,
)

TRACEPARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def _caddy(_host: str) -> list[str]:
    return ["172.20.0.5", "fd00::5"]


async def _nobody(_host: str) -> list[str]:
    raise OSError("no such host")


async def test_the_edge_is_believed_about_the_client() -> None:
    edge = Edge("caddy", resolve=_caddy)
    assert await client_address(edge, "172.20.0.5", "203.0.113.7") == "203.0.113.7"
    assert await client_address(edge, "fd00::5", "2001:db8::1") == "2001:db8::1"


async def test_only_what_the_edge_itself_wrote_is_believed() -> None:
    assert (
        await client_address(Edge("caddy", resolve=_caddy), "172.20.0.5", "1.1.1.1, 203.0.113.7")
        == "203.0.113.7"
    )


async def test_nobody_else_is_believed() -> None:
    edge = Edge("caddy", resolve=_caddy)
    assert await client_address(edge, "172.20.0.9", "203.0.113.7") == "172.20.0.9"
    assert await client_address(edge, "127.0.0.1", "203.0.113.7") == "127.0.0.1"


async def test_with_the_edge_not_to_be_found_nobody_is_believed() -> None:
    assert await client_address(Edge("caddy", resolve=_nobody), "172.20.0.5", "203.0.113.7") == "172.20.0.5"


async def test_in_the_local_runtime_loopback_is_the_edge() -> None:
    edge = Edge("caddy", local=True, resolve=_nobody)
    assert await client_address(edge, "127.0.0.1", "203.0.113.7") == "203.0.113.7"
    assert await client_address(edge, "::1", "203.0.113.7") == "203.0.113.7"
    assert await client_address(edge, "192.0.2.1", "203.0.113.7") == "192.0.2.1"


async def test_strangers_do_not_make_the_edge_be_looked_up_each_time() -> None:
    asked = []

    async def counting(host: str) -> list[str]:
        asked.append(host)
        return ["172.20.0.5"]

    edge = Edge("caddy", resolve=counting)
    for number in range(50):
        assert not await edge.is_edge(f"192.0.2.{number}")
        assert await edge.is_edge("172.20.0.5")
    assert len(asked) == 1


async def test_what_the_edge_says_must_be_an_address() -> None:
    assert await client_address(Edge("caddy", resolve=_caddy), "172.20.0.5", "<script>") == "172.20.0.5"


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("FE80::1%eth0", "fe80::1"),
        (" 10.0.0.1 ", "10.0.0.1"),
        ("testclient", ""),
        ("", ""),
    ],
)
def test_an_address_has_one_spelling(raw: str, plain: str) -> None:
    assert plain_address(raw) == plain


def test_a_request_id_and_a_trace_are_accepted() -> None:
    context = accept({b"x-request-id": b"Order-42", b"traceparent": TRACEPARENT}, "10.0.0.1")
    assert context.request_id == "Order-42"
    assert context.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert context.traceparent.startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"a b",
        b"a\nb",
        b"x" * 129,
        b"<b>",
        b"fnt_abcdefabcdef_c2VjcmV0",
        "ü".encode(),
        b"a;b",
        b"eyJa.eyJb.c",
    ],
)
def test_any_other_request_id_is_replaced(given: bytes) -> None:
    context = accept({b"x-request-id": given, b"traceparent": b"nonsense"}, "")
    assert context.request_id.encode() != given
    assert len(context.request_id) == len(context.trace_id) == 32


def test_the_current_request_goes_on_to_peers_and_ends() -> None:
    assert outgoing_headers() == {}
    token = enter(accept({b"x-request-id": b"abc"}, ""))
    headers = outgoing_headers()
    assert headers["X-Request-ID"] == "abc"
    assert headers["traceparent"].startswith("00-")
    leave(token)
    assert current() is None


def test_the_edge_leaves_its_mark() -> None:
    assert accept({b"x-fountain-edge": b"1"}, "").through_edge
    assert not accept({}, "").through_edge
