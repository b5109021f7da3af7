"""Tables on a narrow terminal: what is copied from them stays whole, and nothing is cut off."""

import io

import pytest
from fountain_cli import screen
from rich.console import Console

ID = "3d4dfe89-6693-48a5-8b2d-6b85003abd97"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What a terminal of eighty columns shows."""
    stream = io.StringIO()
    monkeypatch.setattr(screen, "out", Console(file=stream, width=80))
    return stream


def test_an_id_is_in_one_line_and_a_long_word_is_folded(shown: io.StringIO) -> None:
    service = "a-service-whose-name-is-as-long-as-a-name-can-be-" * 2
    screen.table(("rotation", "service", "state"), [(ID, service, "draining")], flexible=("service",))
    lines = shown.getvalue().splitlines()
    assert ID in lines[1]
    assert "draining" in lines[1]
    assert all(len(line) <= 80 for line in lines)
    folded = "".join(line.replace(ID, "").replace("draining", "").strip() for line in lines[1:])
    assert folded == service


def test_text_from_elsewhere_is_no_markup(shown: io.StringIO) -> None:
    screen.table(("name",), [("[red]not red[/red]",)])
    assert "[red]not red[/red]" in shown.getvalue()


def test_an_empty_list_leaves_the_result_empty(shown: io.StringIO) -> None:
    screen.table(("name",), [])
    assert shown.getvalue() == ""


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 bytes"), (1536, "1.5 KiB"), (3 * 1024**3, "3.0 GiB"), (1024**2, "1.0 MiB")]
)
def test_sizes_are_said_as_people_say_them(count: int, said: str) -> None:
    assert screen.size(count) == said
