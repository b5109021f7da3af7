"""The pages in a real browser: only it shows that a policy is too strict for its page."""

import shutil
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from fountain_common.app import Alone, create_service
from fountain_common.settings import ServiceSettings

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    settings = ServiceSettings(_env_file=None, service_name="orders", runtime="local")
    app = create_service(
        settings,
        title=f"Orders {HOSTILE}",
        description="Takes orders.",
        version="1",
        platform=Alone(settings),
    )
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as drive:
        chromium = drive.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def complaints(browser: Any) -> Iterator[tuple[Any, list[str]]]:
    page, found = browser.new_page(), []
    page.on("console", lambda said: found.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("dialog", lambda dialog: found.append(dialog.message))
    yield page, found
    page.close()


def test_the_documentation_shows_operations_and_tries_them(
    site: str, complaints: tuple[Any, list[str]]
) -> None:
    page, found = complaints
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    page.goto(f"{site}/docs")
    page.locator("#operations-service-getHealthStatus .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table .response-col_status", has_text="200").wait_for()
    assert found == []
    assert hosts == {site.removeprefix("http://")}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_landing_page_is_styled_and_unharmed(
    site: str, complaints: tuple[Any, list[str]], scheme: str
) -> None:
    page, found = complaints
    page.emulate_media(color_scheme=scheme)
    page.goto(site)
    assert HOSTILE in page.locator("h1").inner_text()
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(246, 247, 249)", "dark": "rgb(15, 20, 26)"}[scheme]
    assert found == []


def test_the_landing_page_fits_a_telephone(site: str, complaints: tuple[Any, list[str]]) -> None:
    page, _ = complaints
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(site)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
