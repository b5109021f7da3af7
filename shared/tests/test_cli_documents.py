"""What the documents say of the command is true of the code."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from fountain_cli.exits import MEANINGS
from fountain_cli.main import app
from typer.core import TyperGroup
from typer.main import get_command

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("services/*/README.md")])
CLI = ROOT / "docs" / "cli.md"
MAIN = get_command(app)
_SPAN = re.compile(r"`(fountain [^`]+)`")
_BLOCK = re.compile(r"^```(?:sh|console|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_TYPED = re.compile(r"(?:^|&& |; |\| )\s*(?:[A-Z_]+=\S+ )?(fountain [^&;|\n]*)", re.MULTILINE)


def typed(page: Path) -> Iterator[str]:
    """Every command that a page tells to type, in its blocks and within its sentences."""
    text = page.read_text()
    for block in _BLOCK.findall(text):
        yield from _TYPED.findall(block)
    for line in _BLOCK.sub("", text).splitlines():
        yield from _SPAN.findall(line)


def words(line: str) -> list[str]:
    """A command as a shell would hand it over; what a person puts in is a word."""
    line = re.sub(r"\s#.*", "", line)
    line = re.sub(r"\$\([^)]*\)|<[^<>\s][^<>]*>", "WORD", line)
    line = re.sub(r"\s<\s*\S+", "", line)
    return shlex.split(line)[1:]


def understood(given: list[str], *, named: bool = False) -> str:
    """The name of the command that takes these words; raises the command's own error if it does not.

    With `named` the name alone will do, as where a sentence speaks of the command.
    """
    command, names = MAIN, []
    while isinstance(command, TyperGroup) and given and not given[0].startswith("-"):
        names.append(given[0])
        command, given = command.commands[given[0]], given[1:]
    only_shown = {"--help", "--version", "--install-completion", "--show-completion"}
    if not set(given) & only_shown and (given or not named):
        command.make_context(" ".join(names), given)
    return " ".join(names)


def leaves(group: TyperGroup, *above: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from leaves(command, *above, name)
        else:
            yield " ".join((*above, name))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_in_a_document_can_be_typed(page: Path) -> None:
    for line in typed(page):
        given = words(line)
        if given and given != ["..."]:
            understood(given, named=True)


def test_every_command_has_an_example_and_none_is_made_up() -> None:
    rows = re.findall(r"^\| `(fountain .*?)` \| ", CLI.read_text(), re.MULTILINE)
    shown = {understood(words(line)) for line in rows}
    assert isinstance(MAIN, TyperGroup)
    assert shown == set(leaves(MAIN))


def test_every_exit_status_is_in_the_table_with_its_meaning() -> None:
    table = dict(re.findall(r"^\| (\d+) \| (.+?) \|$", CLI.read_text(), re.MULTILINE))
    assert table == {str(status): what for status, what in MEANINGS.items()}


def test_the_page_is_linked_from_where_people_begin() -> None:
    assert "docs/cli.md" in (ROOT / "README.md").read_text()
    assert "(cli.md)" in (ROOT / "docs" / "guide.md").read_text()
