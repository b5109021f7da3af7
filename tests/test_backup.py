"""A machine is lost: what was backed up while people worked is there again on an empty one.

And what an administrator types at the machine itself: a key that is lost, and keys that somebody has seen.
"""

import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from belongings import Belongings
from fountain_cli import exits
from fountain_cli.stack import ComposeStack, LocalStack, Ports
from fountain_cli.stack.layout import repository, services
from polling import poll_until
from stacks import SETTINGS
from steward import Steward
from test_machine import works

from chaos.history import History
from chaos.receivers import Webhook
from chaos.stacks import started

PASSPHRASE = "correct horse battery staple"
VALUE = "a-password-that-somebody-chose"
PROJECT = "fountain-e2e-backup"
WEBHOOKS = "FOUNTAIN_WEBHOOK_ALLOWED_NETWORKS"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "machine" in metafunc.fixturenames:
        runtimes = metafunc.config.getoption("--runtime") or ["local"]
        metafunc.parametrize("machine", runtimes, indirect=True, scope="module")


class Machine:
    """A stack of its own, which can be lost, and a person who types commands at it."""

    def __init__(self, runtime: str, folder: Path) -> None:
        ports = Ports.free(services(repository()))
        self.stack: ComposeStack | LocalStack
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FOUNTAIN_")},
            "FOUNTAIN_RUNTIME": runtime,
            "PYTHONPATH": str(repository() / "shared"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "FOUNTAIN_HTTP_PORT": str(ports.http),
            "FOUNTAIN_HTTPS_PORT": str(ports.https),
        }
        if runtime == "local":
            self.stack = LocalStack(folder / "state", ports, settings={WEBHOOKS: SETTINGS[WEBHOOKS]})
            self._environment["FOUNTAIN_STATE_DIR"] = str(folder / "state")
            for service in services(repository()):
                variable = f"FOUNTAIN_PORT_{service.name.upper().replace('-', '_')}"
                self._environment[variable] = str(ports.of(service))
        else:
            where = {"http_port": ports.http, "https_port": ports.https}
            self.stack = ComposeStack(PROJECT, network=PROJECT, **where)
            self._environment |= {"COMPOSE_PROJECT_NAME": PROJECT, "FOUNTAIN_NETWORK": PROJECT}

    def types(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "fountain_cli", *words],
            cwd=repository(), env=self._environment, input=given, check=False, capture_output=True, text=True,
        )  # fmt: skip


@pytest.fixture(scope="module")
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    made = Machine(request.param, tmp_path_factory.mktemp("machine"))
    with started(made.stack):
        yield made


class Work:
    """Somebody who publishes one numbered event after another, until told to stop."""

    def __init__(self, steward: Steward) -> None:
        self._steward, self._ending = steward, threading.Event()
        self.accepted = 0
        self._thread = threading.Thread(target=self._publish, daemon=True)

    def _publish(self) -> None:
        while not self._ending.is_set():
            with suppress(httpx2.HTTPError):
                event = {"type": "work.done", "data": {"number": self.accepted}}
                answer = self._steward.ask("POST", "notification", "/notifications", json=event)
                assert answer.status_code == 201, answer.text
                self.accepted += 1

    def __enter__(self) -> "Work":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(30)


def gets_a_token(steward: Steward, key: str) -> bool:
    form = {"grant_type": "client_credentials", "client_secret": key}
    answer = steward.at("secrets-manager").post("/auth/token", data=form)
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


def kids(steward: Steward) -> set[str]:
    document = steward.at("secrets-manager").get("/.well-known/jwks.json").json()
    return {key["kid"] for key in document["keys"]}


def secret(steward: Steward) -> dict[str, Any]:
    found: dict[str, Any] = steward.manager("GET", "/secrets/stories")
    return found


@pytest.fixture
def webhook(machine: Machine) -> Iterator[Webhook | None]:
    """A receiver at this machine; none where its address goes with the machine that is lost."""
    with ExitStack() as stack:
        here = isinstance(machine.stack, LocalStack)
        yield stack.enter_context(Webhook(History(), machine.stack.host())) if here else None


@pytest.mark.mainly("local")
def test_what_was_backed_up_under_traffic_is_there_again_on_an_empty_machine(
    machine: Machine, webhook: Webhook | None, tmp_path: Path
) -> None:
    before, file = Steward(machine.stack), tmp_path / "platform.backup"
    done = machine.types("secrets", "create", "stories", "--stdin", given=f'{{"SMTP_PASSWORD": "{VALUE}"}}')
    assert done.returncode == 0, done.stderr
    machine.types("identities", "create", "ada", "--role", "viewer")
    key = machine.types("identities", "key", "ada")
    assert key.returncode == 0, key.stderr
    ada = key.stdout.strip()
    belongings = Belongings(before, webhook)
    with Work(Steward(machine.stack)) as work:
        poll_until(lambda: work.accepted > 20, "work is under way")
        told = work.accepted
        done = machine.types("backup", "--to", str(file), given=PASSPHRASE + "\n")
        assert done.returncode == 0, done.stderr
        assert work.accepted > told
    assert file.stat().st_mode & 0o777 == 0o600
    assert VALUE.encode() not in file.read_bytes()
    was, signed_with = secret(before), kids(before)
    machine.types("secrets", "rotate", "stories", "--ask", "SMTP_PASSWORD", given="another\n")

    done = machine.types("restore", "--from", str(file), given=PASSPHRASE + "\n")
    assert done.returncode == exits.CONFLICT
    assert "runs" in done.stderr
    machine.stack.stop(remove=True)
    done = machine.types("restore", "--from", str(file), given="not the right passphrase\n")
    assert (done.returncode, "passphrase" in done.stderr) == (exits.FAILED, True)
    done = machine.types("restore", "--from", str(file), given=PASSPHRASE + "\n")
    assert done.returncode == 0, done.stderr
    done = machine.types("restore", "--from", str(file), given=PASSPHRASE + "\n")
    assert (done.returncode, "empty machine" in done.stderr) == (exits.FAILED, True)
    machine.stack.start()

    after = Steward(machine.stack)
    now = secret(after)
    assert (now["secrets"], now["version"]) == (was["secrets"], was["version"])
    assert now["secrets"]["SMTP_PASSWORD"] == VALUE
    assert now["epoch"] != was["epoch"]
    assert not kids(after) & signed_with
    numbers = [event["data"]["number"] for event in after.events(type="work.done")]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= told
    assert machine.types("audit", "verify").returncode == 0
    belongings.use(after)

    assert not gets_a_token(after, ada)
    done = machine.types("identities", "enable-key", "ada", ada.split("_")[1])
    assert done.returncode == 0, done.stderr
    assert gets_a_token(after, ada)


@pytest.mark.mainly("local")
def test_keys_are_made_anew_by_who_is_at_the_machine(machine: Machine) -> None:
    """The administrator's while everything runs; the key-encryption key, and all others, only while the
    Secrets Manager does not.
    """
    stack, lost, before = machine.stack, machine.stack.admin_key(), Steward(machine.stack)
    name = f"rekeyed-{secrets.token_hex(4)}"
    before.manager("POST", f"/secrets/{name}", json={"SMTP_PASSWORD": VALUE})
    was = before.manager("GET", f"/secrets/{name}")
    done = machine.types("recover-admin")
    assert done.returncode == 0, done.stderr
    recovered = stack.admin_key()
    assert recovered not in (lost, *done.stdout.split(), *done.stderr.split())
    Steward(stack).manager("DELETE", f"/identities/admin/keys/{lost.split('_')[1]}")
    assert [gets_a_token(before, key) for key in (lost, recovered)] == [False, True]
    done = machine.types("rekey")
    assert (done.returncode, "Stop it first" in done.stderr) == (exits.CONFLICT, True), done.stderr

    stack.halt("secrets-manager")
    for command in ("rekey", "begin-epoch"):
        done = machine.types(command)
        assert done.returncode == 0, done.stderr
    stack.resume("secrets-manager")
    stack.wait_healthy("secrets-manager")

    begun, after = stack.admin_key(), Steward(stack)
    assert [gets_a_token(after, key) for key in (lost, recovered, begun)] == [False, False, True]
    now = after.manager("GET", f"/secrets/{name}")
    assert (now["secrets"], now["version"]) == (was["secrets"], was["version"])
    assert now["secrets"]["SMTP_PASSWORD"] == VALUE
    assert now["epoch"] != was["epoch"]
    assert machine.types("audit", "verify").returncode == 0
    recorded = after.manager("GET", "/audit", params={"limit": 500})["items"]
    assert "kek:rotate" in {record["action"] for record in recorded}
    poll_until(lambda: works(after), "the services work with their new keys")
    stack.wait_healthy()
