import re

from fastapi import FastAPI
from fastapi.testclient import TestClient
from fountain_common import error_handlers
from fountain_common.docs import add_docs


def _client(title: str = "Orders") -> TestClient:
    app = FastAPI(title=title, docs_url=None, openapi_url=None)
    error_handlers.install(app)
    add_docs(app)
    return TestClient(app)


def test_the_page_comes_whole_from_this_service() -> None:
    client = _client()
    page = client.get("/docs").text
    assert not re.search(r"https?://", page)
    links = re.findall(r'(?:src|href)="(/docs/assets/[^"]+)"', page)
    assert len(links) >= 4
    for link in links:
        asset = client.get(link)
        assert asset.status_code == 200, link
        assert len(asset.content) > 10, link


def test_no_script_is_inline_and_none_may_be() -> None:
    answer = _client().get("/docs")
    assert not re.search(r"<style|<script(?![^>]*src)|\sstyle=|\son\w+=", answer.text)
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"


def test_a_hostile_title_stays_a_text() -> None:
    assert "<script>alert" not in _client("</title><script>alert(1)</script>").get("/docs").text


def test_there_are_no_other_assets() -> None:
    client = _client()
    assert client.get("/docs/assets/..%2f__init__.py").status_code == 404
    assert client.get("/docs/assets/docs.html").status_code == 404


def test_a_token_typed_here_is_not_kept() -> None:
    assert "persistAuthorization: false" in _client().get("/docs/assets/docs-init.js").text
