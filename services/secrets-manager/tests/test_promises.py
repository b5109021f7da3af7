"""What the page about security says is shown, is: every test that it names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "security.md"
NAMED = re.findall(r"`([\w/.-]+\.py)::(test_\w+)`", PAGE.read_text())


def test_the_page_names_tests():
    assert len(NAMED) >= 20


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_the_page_names_exists(file, name):
    assert re.search(rf"def {name}\(", (ROOT / file).read_text()), f"{file} has no {name}"
