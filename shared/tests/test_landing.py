import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from fountain_common.landing import MAX_DESCRIPTION, add_landing, render, shortened
from fountain_common.settings import ServiceSettings

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(1)>\"'&$title ${domain}"


def _page(**texts: str) -> str:
    return render(
        **{"service": "orders", "title": "Orders", "description": "x", "version": "1", "domain": "d", **texts}
    )


def test_it_says_what_the_service_is_and_where_to_go(settings: ServiceSettings) -> None:
    app = FastAPI(title="Orders", description="Takes orders.", version="1.2.3", docs_url=None)
    add_landing(app, settings)
    answer = TestClient(app).get("/")
    for text in ("Orders", "Takes orders.", "1.2.3", 'href="/docs"', 'href="/health"'):
        assert text in answer.text
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("field", ["title", "description", "version", "domain"])
def test_a_hostile_text_stays_a_text(field: str) -> None:
    page = _page(**{field: HOSTILE})
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;/title&gt;" in page
    assert "$title" in page  # nor is it a template


def test_the_page_needs_nothing_inline() -> None:
    page = _page()
    assert not re.search(r"<style|<script(?![^>]*src)|\sstyle=|\son\w+=|javascript:", page)
    assert not re.search(r"https?://", page)


def test_a_long_description_is_cut_at_a_word() -> None:
    cut = shortened("word " * 200)
    assert len(cut) <= MAX_DESCRIPTION
    assert cut.endswith("word…")
    assert shortened(" one\n two ") == "one two"
    assert shortened("x" * 1000) == "x" * (MAX_DESCRIPTION - 1) + "…"
