"""Free ports."""

import socket

import pytest
from fountain_common import ports
from fountain_common.ports import free_port, free_ports


def test_they_are_different_and_can_be_listened_on() -> None:
    found = free_ports(20)
    assert len(set(found)) == 20
    for port in found:
        socket.create_server(("127.0.0.1", port)).close()


def test_the_system_deals_none_of_them_to_somebody_else() -> None:
    with socket.socket() as dealt:
        dealt.bind(("127.0.0.1", 0))
        assert max(free_ports(50)) < ports._dealt_from() <= dealt.getsockname()[1]


def test_one_that_is_taken_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        draws = iter([taken.getsockname()[1], free_port()])
        monkeypatch.setattr("random.randrange", lambda *_: next(draws))
        assert free_port() != taken.getsockname()[1]


def test_where_all_ports_are_dealt_the_system_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ports, "_dealt_from", lambda: 1024)
    assert free_port() > 0
