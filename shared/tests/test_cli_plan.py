"""Which local processes there are: ports, replicas, what each is told, what the manager is told."""

import configparser
from pathlib import Path

import pytest
from fountain_cli.stack import environment
from fountain_cli.stack.face import StackError
from fountain_cli.stack.layout import KNOWN, Service
from fountain_cli.stack.plan import Place, Plan, service_programs
from fountain_cli.stack.ports import Ports
from fountain_cli.stack.state import State
from fountain_cli.stack.supervisor import Program, configuration, program_section, socket_path

SERVICES = [*KNOWN[:3], Service("stories", 8010)]


def test_ports_come_from_the_environment() -> None:
    ports = Ports.from_environment({"FOUNTAIN_HTTPS_PORT": "9443", "FOUNTAIN_PORT_GATEWAY_LOOKUP": "9000"})
    assert ports.https == 9443
    assert ports.of(SERVICES[0]) == 9000
    assert Ports.of_mapping(ports.everywhere(SERVICES)).everywhere(SERVICES) == ports.everywhere(SERVICES)


@pytest.mark.parametrize("raw", ["0", "65536", "http", "-1"])
def test_what_is_no_port_is_refused_by_its_name(raw: str) -> None:
    with pytest.raises(StackError, match="FOUNTAIN_HTTP_PORT"):
        Ports.from_environment({"FOUNTAIN_HTTP_PORT": raw})


def test_replicas_keep_their_ports_when_others_join_and_leave() -> None:
    plan = Plan(SERVICES, Ports())
    plan.scale("example-consumer", 3)
    before = plan.processes["example-consumer"]
    plan.scale("example-consumer", 2)
    assert plan.processes["example-consumer"] == before[:2]
    remembered = Plan(SERVICES, Ports(), plan.processes)
    assert remembered.processes == plan.processes
    assert plan.names("example-consumer") == ["example-consumer", "example-consumer-2"]


def test_a_writer_runs_once() -> None:
    with pytest.raises(StackError, match="one writer"):
        Plan(SERVICES, Ports()).scale("secrets-manager", 2)


def test_an_unknown_service_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(StackError, match="example-consumer"):
        Plan(SERVICES, Ports()).scale("nothing", 1)


def test_each_process_is_told_its_own_port_and_identity_and_no_secret(tmp_path: Path) -> None:
    plan = Plan(SERVICES, Ports())
    plan.scale("example-consumer", 2)
    place = Place(tmp_path, State(tmp_path / "state"), SERVICES, Ports(), "fountain.localhost")
    programs = {one.name: one for one in service_programs(place, plan, {"PATH": "/bin"})}
    first, second = programs["example-consumer"], programs["example-consumer-2"]
    assert first.environment["FOUNTAIN_PORT"] != second.environment["FOUNTAIN_PORT"]
    assert first.environment["FOUNTAIN_IDENTITY_DIR"] == second.environment["FOUNTAIN_IDENTITY_DIR"]
    assert programs["stories"].environment["FOUNTAIN_IDENTITY_DIR"].endswith("/identities/stories")
    assert "FOUNTAIN_KEK_FILE" not in first.environment
    assert first.environment["FOUNTAIN_HOST"] == "127.0.0.1"


def test_settings_are_inherited_and_what_is_the_runtimes_own_is_not() -> None:
    given = {
        "FOUNTAIN_LOG_LEVEL": "DEBUG",
        "FOUNTAIN_PORT_NOTIFICATION": "1",
        "AWS_SECRET": "x",
        "PATH": "/bin",
    }
    assert environment.inherited(given) == {"FOUNTAIN_LOG_LEVEL": "DEBUG", "PATH": "/bin"}


def test_services_are_reconciled_with_the_keys_that_they_need() -> None:
    services = [KNOWN[1], KNOWN[3], Service("action", 8005)]
    assert environment.reconciled(services) == "notification:DATA_KEY action"


def test_the_manager_reads_what_is_written_for_it(tmp_path: Path) -> None:
    program = Program(
        "one", ("/bin/echo", "a b", "100%"), tmp_path, {"TEXT": 'say "hi" 100%'}, tmp_path / "log"
    )
    read = configparser.RawConfigParser(strict=True)
    read.read_string(configuration([program], run=tmp_path, socket=tmp_path / "s"))
    section = read["program:one"]
    assert section["command"] == '"/bin/echo" "a b" "100%%"'
    assert section["environment"] == 'TEXT="say \\"hi\\" 100%%"'
    assert section["autorestart"] == "unexpected"
    assert read["unix_http_server"]["chmod"] == "0600"


def test_a_service_that_refuses_its_settings_is_not_started_again(tmp_path: Path) -> None:
    section = program_section(Program("one", ("x",), tmp_path, {}, tmp_path / "log"))
    assert "exitcodes=78" in section


def test_a_socket_path_that_is_too_long_is_replaced_by_a_short_one_of_this_user(tmp_path: Path) -> None:
    assert socket_path(Path("/tmp/run")) == Path("/tmp/run/supervisor.sock")
    long = tmp_path / ("x" * 120)
    assert len(str(socket_path(long))) < 100
    assert socket_path(long) == socket_path(long)
    assert socket_path(long).parent.stat().st_mode & 0o077 == 0


def test_nobody_else_can_read_the_state(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    state.make(SERVICES)
    folders = [path for path in state.folder.rglob("*") if path.is_dir()]
    assert all(path.stat().st_mode & 0o077 == 0 for path in [state.folder, *folders])


def test_what_was_remembered_of_one_stack_is_not_that_of_another(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.remember("local", {"domain": "a"})
    state.remember("project", {"domain": "b"})
    assert state.remembered("local") == {"domain": "a"}
    state.forget("local")
    assert state.remembered("local") == {}
    assert state.remembered("project") == {"domain": "b"}
