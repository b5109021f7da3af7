"""A start that comes to nothing leaves no holder of its secrets behind, for which a rotation would wait."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from entrypoint_process import Start, processes
from entrypoint_secrets_manager import SecretsManager


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with processes(tmp_path) as start:
        yield start


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[SecretsManager]:
    manager = SecretsManager(tmp_path)
    yield manager
    manager.stop()


def test_an_application_that_cannot_be_imported_leaves_no_holder_behind(
    start: Start, manager: SecretsManager, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('no')")
    service = start(FOUNTAIN_GATEWAY_URL=manager.gateway_url, application="broken:app")
    assert service.ended() == 1
    assert (manager.asked, manager.holders) == (1, set())


def test_a_taken_port_leaves_no_holder_behind(start: Start, manager: SecretsManager) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        service = start(FOUNTAIN_GATEWAY_URL=manager.gateway_url, FOUNTAIN_PORT=port)
        assert service.ended() == 69
    assert (manager.asked, manager.holders) == (1, set())


def test_a_signal_during_the_fetch_ends_it_with_0_and_leaves_no_holder_behind(
    start: Start, manager: SecretsManager
) -> None:
    manager.answer.clear()
    service = start(FOUNTAIN_GATEWAY_URL=manager.gateway_url)
    service.until(lambda: manager.holders)
    service.process.send_signal(signal.SIGTERM)
    assert service.ended() == 0
    assert manager.holders == set()


def test_a_fetch_without_an_answer_leaves_no_holder_behind(start: Start, manager: SecretsManager) -> None:
    manager.answer.clear()
    service = start(FOUNTAIN_GATEWAY_URL=manager.gateway_url, FOUNTAIN_BOOT_DEADLINE_SECONDS="5")
    assert service.ended() == 69
    assert manager.asked
    assert manager.holders == set()


def test_a_start_without_signing_keys_never_listens_says_why_and_leaves_no_holder_behind(
    start: Start, manager: SecretsManager
) -> None:
    manager.gives_keys = False
    service = start(FOUNTAIN_GATEWAY_URL=manager.gateway_url, FOUNTAIN_BOOT_DEADLINE_SECONDS="3")
    assert service.ended() == 69
    events = [line["event"] for line in service.lines]
    assert "secrets_not_fetched_yet" in events
    assert "listening" not in events
    assert "signing keys" in service.lines[-1]["reason"]
    assert manager.holders == set()
