"""The real process: TLS by its name alone, a second replica, kills, and a key that is not the one."""

import os
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from fountain_common.ports import free_port
from secrets_manager.kek import FileKey

SERVICE = Path(__file__).parents[1]
PATHS = ("data_dir", "identities_dir", "admin_dir", "trust_dir", "kek_file")


class Process:
    """A secrets manager as it is run for real, with nobody around."""

    def __init__(self, settings, log, more=None, begun_by=()):
        self.port, self.settings, self.log = free_port(), settings, log
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{SERVICE}:{SERVICE.parents[1] / 'shared'}",
            "FOUNTAIN_RUNTIME": "local",
            "FOUNTAIN_HOST": "127.0.0.1",
            "FOUNTAIN_PORT": str(self.port),
            "FOUNTAIN_GATEWAY_URL": f"http://127.0.0.1:{free_port()}",
            **{f"FOUNTAIN_{name.upper()}": str(getattr(settings, name)) for name in PATHS},
            **(more or {}),
        }
        command = [*begun_by, sys.executable, "entrypoint.py"]
        with log.open("ab") as file:
            self.process = subprocess.Popen(command, cwd=SERVICE, env=environment, stdout=file, stderr=file)

    def get(self, path, name="secrets-manager", timeout=20):
        return self.ask("GET", path, name=name, timeout=timeout)

    def ask(self, method, path, name="secrets-manager", timeout=20, **options):
        context = ssl.create_default_context(cafile=self.settings.trust_dir / "ca.pem")
        with httpx2.Client(verify=context, trust_env=False, timeout=timeout) as client:
            url = f"https://127.0.0.1:{self.port}{path}"
            return client.request(method, url, extensions={"sni_hostname": name}, **options)

    def as_admin(self, method, path, **options):
        key = (self.settings.admin_dir / "api-key").read_text().strip()
        form = {"grant_type": "client_credentials", "client_secret": key}
        token = self.ask("POST", "/auth/token", data=form).json()["access_token"]
        return self.ask(method, path, headers={"Authorization": f"Bearer {token}"}, **options)

    def is_ready(self):
        with suppress(httpx2.TransportError, OSError):
            return self.get("/health", timeout=2).status_code == 200
        return False

    def end(self, number=signal.SIGTERM):
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        return self.process.wait(20)


@pytest.fixture
def launch(settings, tmp_path):
    launched = []

    def begin(begun_by=(), **more):
        launched.append(Process(settings, tmp_path / "log", more, begun_by))
        return launched[-1]

    yield begin
    for process in launched:
        process.end(signal.SIGKILL)


def heed_modes():
    """Return what begins a process that a file's mode holds for: it does not for root."""
    if os.geteuid():
        return ()
    powers = "-dac_override,-dac_read_search"
    if shutil.which("setpriv") is None:
        pytest.skip("root may read everything, and there is no setpriv to take that from it")
    return ("setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}")


def until(true, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_serves_tls_by_its_name_and_ends_when_told(launch, settings, tmp_path):
    process = launch()
    until(process.is_ready)
    assert process.get("/.well-known/jwks.json").json()["keys"]
    with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        process.get("/health", name="notification")
    assert process.end() == 0
    log = (tmp_path / "log").read_text()
    for key in [*settings.identities_dir.rglob("api-key"), settings.admin_dir / "api-key", settings.kek_file]:
        assert key.read_text().strip() not in log


def test_killed_at_any_moment_of_its_first_start_it_goes_on_at_the_next(launch, settings):
    process = launch()
    for milliseconds in range(0, 1500, 250):
        until(lambda: (settings.data_dir / "secrets_manager.db").exists())
        time.sleep(milliseconds / 1000)
        process.end(signal.SIGKILL)
        process = launch()
    until(process.is_ready)
    assert process.get("/health").json()["checks"]["identities"] == "ok"
    for name in ("notification", "gateway-lookup", "example-consumer"):
        assert (settings.identities_dir / name / "api-key").exists()


def test_a_second_replica_is_not_ready_until_the_first_is_gone(launch, tmp_path):
    first = launch()
    until(first.is_ready)
    second = launch()
    until(lambda: "waiting_for_the_other_writer" in (tmp_path / "log").read_text())
    assert not second.is_ready()
    first.end(signal.SIGKILL)
    until(second.is_ready)


def lose(key):
    key.unlink()


def replace(key):
    key.unlink()
    FileKey(key).create()


def put_a_folder_in_its_place(key):
    key.unlink()
    key.mkdir()


def forbid(key):
    key.chmod(0)


def contents(settings):
    """All that lies in its folders; as root, also what the process that is tried is not let read."""
    data, keys = settings.data_dir, settings.kek_file.parent
    folders = [data, keys, settings.identities_dir, settings.admin_dir, settings.trust_dir]
    paths = [path for folder in folders for path in folder.rglob("*")]
    if os.geteuid():
        paths = [path for path in paths if path.stat().st_mode & stat.S_IRUSR]
    return {path: path.is_file() and path.read_bytes() for path in paths}


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lose, "The key-encryption key {} is missing, and the database cannot be opened without it."),
        (replace, "The key in {} is not the one that this database was made with."),
        (put_a_folder_in_its_place, "The key-encryption key {} cannot be read (IsADirectoryError)."),
        (forbid, "The key-encryption key {} cannot be read (PermissionError)."),
    ],
    ids=["lost", "another", "a folder", "not for it to read"],
)
def test_without_the_right_key_it_says_so_and_writes_nothing(start, launch, settings, tmp_path, harm, words):
    start(settings).client.__exit__(None, None, None)
    harm(settings.kek_file)
    before = contents(settings)
    assert settings.data_dir / "secrets_manager.db" in before
    process = launch(begun_by=heed_modes() if harm is forbid else ())
    assert process.process.wait(60) > 0
    said = f"This service does not start: {words.format(settings.kek_file)}"
    [line] = [line for line in (tmp_path / "log").read_text().splitlines() if line.startswith(said)]
    assert line.endswith("Nothing was written.")
    assert contents(settings) == before


def test_with_its_key_in_openbao_it_is_killed_and_reads_what_it_kept(launch, settings, tmp_path, openbao):
    given = {
        "FOUNTAIN_KEK_PROVIDER": "openbao-transit",
        "FOUNTAIN_OPENBAO_ADDRESS": openbao.tls_address,
        "FOUNTAIN_OPENBAO_CA_FILE": str(openbao.authority),
        "FOUNTAIN_OPENBAO_TOKEN_FILE": str(openbao.token),
        "FOUNTAIN_OPENBAO_KEY_NAME": "of-a-process",
    }
    first = launch(**given)
    until(first.is_ready)
    made = first.as_admin("POST", "/secrets/stories", json={"SMTP_PASSWORD": "chosen"})
    assert made.status_code == 201, made.text
    first.end(signal.SIGKILL)
    again = launch(**given)
    until(again.is_ready)
    assert again.as_admin("GET", "/secrets/stories").json()["secrets"] == made.json()["secrets"]
    assert openbao.versions_that_decrypt("of-a-process") == 1
    assert not settings.kek_file.exists()
    assert openbao.token.read_text().strip() not in (tmp_path / "log").read_text()
