"""Which platform a command means: never one that happens to run here while another is named."""

import threading
from collections.abc import Iterator
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from xmlrpc.server import SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler

import pytest
from fountain_cli import connection, exits, keys
from fountain_cli.exits import CommandError
from fountain_cli.stack.state import State
from fountain_cli.stack.supervisor import socket_path

ADMIN = "fnt_adminadminad_secret"
ELSEWHERE = "fountain.example"


class Handler(SimpleXMLRPCRequestHandler):
    disable_nagle_algorithm = False  # which a socket in the file system does not have

    def address_string(self) -> str:
        return "here"

    def log_message(self, *_: object) -> None:
        pass


class Manager(ThreadingMixIn, UnixStreamServer, SimpleXMLRPCDispatcher):
    """Answers as the process manager of a local platform does."""

    logRequests = False  # noqa: N815 - the name that its handler asks for

    def __init__(self, path: str) -> None:
        SimpleXMLRPCDispatcher.__init__(self)
        UnixStreamServer.__init__(self, path, Handler)
        self.register_function(lambda: {"statecode": 1}, "supervisor.getState")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """The state of a platform that runs here, as local processes."""
    state = State(tmp_path / "state")
    monkeypatch.setenv("FOUNTAIN_RUNTIME", "local")
    monkeypatch.setenv("FOUNTAIN_STATE_DIR", str(state.folder))
    monkeypatch.setenv("FOUNTAIN_ROOT", str(Path(__file__).parents[2]))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("FOUNTAIN_DOMAIN", raising=False)
    state.make([])
    (state.folder / "admin" / "api-key").write_text(ADMIN + "\n")
    state.remember("local", {"domain": "fountain.localhost", "ports": {"http": 8080, "https": 8443}})
    manager = Manager(str(socket_path(state.run)))
    threading.Thread(target=manager.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield state
    manager.shutdown()
    manager.server_close()


def test_without_a_domain_the_platform_here_is_meant_with_its_administrators_key(state: State) -> None:
    where = connection.place()
    assert where.issuer == "https://secrets-manager.fountain.localhost:8443"
    assert where.own_key is not None
    assert where.own_key() == ADMIN


def test_another_domain_without_a_key_never_leads_to_the_platform_here(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOUNTAIN_DOMAIN", ELSEWHERE)
    with pytest.raises(CommandError, match="fountain login") as refused:
        connection.connect()
    assert refused.value.status == exits.DENIED
    with pytest.raises(CommandError, match=ELSEWHERE) as refused:
        connection.beside()
    assert refused.value.status == exits.USAGE


def test_on_the_machine_of_a_domain_its_administrators_key_is_used(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.remember("local", {"domain": ELSEWHERE, "ports": {"http": 80, "https": 443}})
    monkeypatch.setenv("FOUNTAIN_DOMAIN", ELSEWHERE)
    where = connection.place()
    assert (where.issuer, where.own_key and where.own_key()) == (connection.issuer(ELSEWHERE), ADMIN)
    assert connection.beside().domain == ELSEWHERE


def test_a_key_that_was_kept_goes_before_the_administrators(state: State) -> None:
    keys.store("https://secrets-manager.fountain.localhost:8443", "fnt_ownownownown_secret")
    assert "fnt_ownownownown_secret" in vars(connection.connect()).values()
