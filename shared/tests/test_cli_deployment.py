"""What a deployment says in `.env` and in `compose.override.yaml` reaches the platform and the command."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from clones import Engine
from fountain_cli.commands import check
from fountain_cli.main import app
from fountain_cli.stack import BadSetting, ComposeStack, LocalStack, choice
from fountain_cli.stack.state import State
from fountain_cli.stack.variables import variables
from fountain_common.settings import ServiceSettings

REPOSITORY = Path(__file__).parents[2]
ACME = "FOUNTAIN_TLS=acme\nFOUNTAIN_DOMAIN=fountain.example\n"


@pytest.fixture
def root(clone: Callable[[str], Path], engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone that commands mean."""
    root = clone("first")
    monkeypatch.setenv("FOUNTAIN_ROOT", str(root))
    return root


def refused(words: str, capfd: pytest.CaptureFixture[str]) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        app(words.split())
    return ended.value.code, capfd.readouterr().err


def test_with_public_certificates_the_edge_is_never_asked_for_a_ca(
    engine: Engine, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (root / ".env").write_text(ACME)
    ComposeStack(root=root).start()
    # What runs counts, not what is set by now.
    (root / ".env").write_text("")
    stack = choice.current()
    assert (stack.tls, stack.ca(), stack.url("stories")) == (
        "acme", None, "https://stories.fountain.example:18443",
    )  # fmt: skip
    with stack.client("stories") as client:
        assert isinstance(client, httpx2.Client)
    assert check._ca(stack) is None
    status, said = refused("trust", capfd)
    assert (status, "public authority" in said) == (1, True)
    assert not engine.told("exec")


def test_local_processes_with_public_certificates_have_no_ca_either(root: Path) -> None:
    (root / ".env").write_text(ACME)
    stack = LocalStack(root=root)
    assert (stack.tls, stack.ca(), stack.domain) == ("acme", None, "fountain.example")
    (root / ".env").write_text("")
    assert LocalStack(root=root).ca() == root / ".fountain/caddy/data/caddy/pki/authorities/local/root.crt"


@pytest.mark.parametrize(
    ("written", "says"),
    [("FOUNTAIN_TLS=letsencrypt\n", "local or acme"), ("FOUNTAIN_TLS=acme\n", "FOUNTAIN_DOMAIN")],
)
def test_certificates_that_nobody_can_issue_are_refused_before_the_start(
    root: Path, written: str, says: str
) -> None:
    (root / ".env").write_text(written)
    for stack in (ComposeStack(root=root), LocalStack(root=root)):
        with pytest.raises(BadSetting, match=says):
            stack.check_start()


def test_what_only_the_command_reads_may_stand_in_the_file_too(
    engine: Engine, root: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "services" / "stories").mkdir()
    (root / "services" / "stories" / "entrypoint.py").touch()
    (root / ".env").write_text(
        "PYTHON_IMAGE=images.example/python\nCADDY_IMAGE=images.example/caddy\n"
        "PROMETHEUS_IMAGE=images.example/prometheus\nFOUNTAIN_PROMETHEUS_PORT=9099\n"
        "FOUNTAIN_REPLICAS_STORIES=3\n"
    )
    monkeypatch.setenv("CADDY_IMAGE", "images.example/another")
    (root / "compose.observability.yaml").touch()
    with pytest.raises(SystemExit) as ended:
        app(["up", "--observe"])
    assert ended.value.code == 0
    assert "http://127.0.0.1:9099" in capfd.readouterr().out
    asked = {call[-1] for call in engine.told("image")}
    assert asked == {f"images.example/{name}" for name in ("python", "another", "prometheus")}
    [start] = engine.told("up")
    assert start[start.index("--scale") + 1] == "stories=3"


@pytest.mark.parametrize("line", ["FOUNTAIN_DOMAIN=$HOME.example", "CADDY_IMAGE=a/${b}", "FOUNTAIN_X='a$$b'"])
def test_what_compose_would_read_in_another_way_than_we_is_refused(root: Path, line: str) -> None:
    (root / ".env").write_text(f"{line}\n")
    with pytest.raises(BadSetting, match=line.partition("=")[0]):
        variables(root)
    (root / ".env").write_text("OTHER=$HOME\n")
    assert variables(root).get("OTHER") is None, "Compose reads it by itself"


def test_a_relative_state_folder_is_seen_from_the_repository(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert State.from_environment({"FOUNTAIN_STATE_DIR": "state"}, root).folder == root / "state"


def test_a_state_folder_and_a_runtime_may_stand_in_the_file_too(root: Path, tmp_path: Path) -> None:
    (root / ".env").write_text(
        f"FOUNTAIN_STATE_DIR={tmp_path / 'elsewhere'}\nFOUNTAIN_RUNTIME=local\nDOCKER_HOST=tcp://nowhere\n"
    )
    assert "DOCKER_HOST" not in variables(root), "Docker's own command does not read it there"
    stack = choice.to_start({})
    assert (stack.runtime, stack.state.folder) == ("local", tmp_path / "elsewhere")


def test_an_override_is_read_where_there_is_one_but_not_by_a_project_of_ones_own(
    engine: Engine, root: Path
) -> None:
    (root / "compose.override.yaml").touch()
    ComposeStack(root=root, files=("compose.yaml", "compose.dev.yaml")).running()
    ComposeStack("fountain-e2e", root=root).running()
    files = [
        [Path(call[at + 1]).name for at, word in enumerate(call) if word == "-f"]
        for call in engine.told("ps")
    ]
    assert files == [["compose.yaml", "compose.dev.yaml", "compose.override.yaml"], ["compose.yaml"]]


def examples(page: str) -> list[str]:
    """The Compose files that a page shows."""
    blocks = re.findall(r"```yaml\n(services:.*?)```", (REPOSITORY / "docs" / page).read_text(), re.DOTALL)
    assert blocks
    return blocks


@pytest.mark.skipif(
    subprocess.run(["sh", "-c", "docker compose version"], check=False, capture_output=True).returncode != 0,
    reason="needs Compose",
)
def test_the_overrides_that_the_pages_show_reach_one_service_alone(tmp_path: Path) -> None:
    found: dict[str, Any] = {}
    for example in (*examples("settings.md"), *examples("deploy.md")):
        override = tmp_path / "compose.override.yaml"
        override.write_text(example)
        command = ["docker", "compose", "-f", str(REPOSITORY / "compose.yaml"), "-f", str(override), "config"]
        done = subprocess.run([*command, "--format", "json"], check=True, capture_output=True)
        services = json.loads(done.stdout)["services"]
        [meant] = yaml.safe_load(example)["services"]
        found[meant] = services.pop(meant)
        assert not [name for name, one in services.items() if one.get("secrets")]
        assert not [one for one in services.values() if "FOUNTAIN_DATABASE_URL" in one["environment"]]
    assert set(found) == {"action", "secrets-manager", "alertmanager"}
    action, issuer, _ = found.values()
    [password] = action["secrets"]
    assert (
        Path("/run/secrets") / password["target"]
        == ServiceSettings(_env_file=None, service_name="action").database_password_file
    )
    assert issuer["environment"]["FOUNTAIN_KEK_PROVIDER"] == "openbao-transit"
    assert issuer["environment"]["FOUNTAIN_OPENBAO_CA_FILE"] == "/run/secrets/openbao_ca"
    assert [one["source"] for one in issuer["secrets"]] == ["openbao_token", "openbao_ca"]


def test_making_the_environment_says_nothing_to_who_reads_a_token(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "venv.sh"
    script.write_bytes((REPOSITORY / "scripts" / "venv.sh").read_bytes())
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".venv").symlink_to(tmp_path / "elsewhere")
    done = subprocess.run(["bash", str(script)], check=True, capture_output=True, text=True)
    assert (done.stdout, "as it is" in done.stderr) == ("", True)
