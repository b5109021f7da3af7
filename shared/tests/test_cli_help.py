"""The help teaches, completion completes, and programs get JSON."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fountain_cli.exits import MEANINGS
from fountain_cli.main import app, version
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

#: They do something and say so; there is nothing in it for a program but the exit status.
SILENT = {
    "up", "down", "logs", "trust", "demo", "login", "logout", "recover-admin", "rekey", "begin-epoch",
    "subscriptions remove", "identities revoke", "identities revoke-key", "identities enable-key",
    "identities disable-key", "audit accept-head", "audit accept-rows",
}  # fmt: skip


def commands(group: TyperGroup, *above: str) -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, *above, name)
        else:
            assert isinstance(command, TyperCommand)
            yield " ".join((*above, name)), command


ROOT = get_command(app)
assert isinstance(ROOT, TyperGroup)
COMMANDS = dict(commands(ROOT))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_and_shows_how_it_is_typed(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert command.epilog
    assert f"\n  fountain {name}" in command.epilog or f" fountain {name}" in command.epilog
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name}: {parameter.name} is not explained"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_prints_data_prints_it_as_json(name: str) -> None:
    takes = any("--json" in parameter.opts for parameter in COMMANDS[name].params)
    assert takes != (name in SILENT)


def test_the_help_of_the_whole_says_what_exit_statuses_mean() -> None:
    for status, what in MEANINGS.items():
        assert f"{status}  {what}" in (ROOT.epilog or "")


def test_no_value_can_be_given_as_an_argument() -> None:
    for name in ("secrets create", "secrets rotate", "login", "backup", "restore"):
        options = {word for parameter in COMMANDS[name].params for word in parameter.opts}
        assert not options & {"--value", "--secret", "--password", "--passphrase", "--key-value", "--api-key"}


def test_bash_completes_commands_of_commands(tmp_path: Path) -> None:
    shared = Path(__file__).parents[1]
    program = tmp_path / "fountain"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m fountain_cli "$@"\n')
    program.chmod(0o755)
    script = """
        eval "$(_FOUNTAIN_COMPLETE=source_bash fountain)"
        COMP_WORDS=(fountain rotations w); COMP_CWORD=2
        _fountain_completion fountain; echo "${COMPREPLY[@]}"
        complete -p fountain
    """
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(shared)}
    done = subprocess.run(
        ["bash", "-c", script], env=environment, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[0] == "watch", done.stderr
    assert "_fountain_completion" in done.stdout.splitlines()[1]


@pytest.mark.parametrize("words", [(), ("secrets",), ("up",), ("rotations", "force"), ("down",)])
def test_a_flag_is_shown_without_a_type(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"])
    assert shown.exit_code == 0
    assert "--help" in shown.stdout
    assert "bool" not in shown.stdout


def test_it_says_its_version() -> None:
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.stdout) == (0, f"fountain {version()}\n")
    assert re.fullmatch(r"\d+\.\d+\.\d+", version())


def test_make_help_shows_first_things_first_and_every_target() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(["make", "help"], cwd=root, check=True, capture_output=True, text=True)
    plain = re.sub(r"\x1b\[\d*m", "", done.stdout)
    shown = re.findall(r"^  make ([a-z-]+) ", plain, re.MULTILINE)
    assert shown[0] == "up"
    assert "down" in shown[:4]
    [phony] = re.findall(r"^\.PHONY: (.*)$", (root / "Makefile").read_text(), re.MULTILINE)
    assert sorted(shown) == sorted(phony.split())
    assert re.findall(r"^([A-Z].*)$", plain, re.MULTILINE)[0] == "The platform on this machine"
