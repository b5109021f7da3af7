"""The portal and the API page in a real browser, through the real edge."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from gateway_lookup.pages import apis_page
from gateway_lookup.settings import GatewaySettings
from neighbourhood import DOMAIN, Neighbourhood

playwright = pytest.importorskip("playwright.sync_api")
# A browser beside other suites takes its time.
playwright.expect.set_options(timeout=20_000)
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")

HOSTILE = "<img src=x onerror=alert(1)>{{7*7}}</script><script>alert(2)</script>"
LOADS = """address => new Promise(told => {
    const picture = new Image();
    picture.onload = () => told(true);
    picture.onerror = () => told(false);
    picture.src = address;
})"""
NEIGHBOURS = [
    ("notification", "Notification", "The nervous system: a durable event log, pushed to subscribers."),
    ("example-consumer", "Example Consumer", "Signed links, so that the rotation of a secret can be seen."),
    ("two-factor", "Two-Factor", "Second factors for people: authenticator apps and codes."),
    ("action", "Action", "Runs what was asked for, once, and says how it went."),
    ("hostile", HOSTILE, HOSTILE[::-1] + HOSTILE),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbourhood]:
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        place = Neighbourhood(stack, patch.setenv, tmp_path_factory.mktemp("place"))
        for name, title, description in NEIGHBOURS:
            place.neighbour(name, title, description)
        yield place


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as drive:
        chromium = drive.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


class Visit:
    """An open page, and what it did."""

    def __init__(self, browser, place: Neighbourhood, **options: object) -> None:
        context = browser.new_context(ignore_https_errors=True, **options)
        self.page, self.errors, self.hosts = context.new_page(), [], set()
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("dialog", lambda dialog: self.errors.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        self.site = place.site

    def open(self, path: str = "/"):
        self.page.goto(self.site + path, wait_until="networkidle" if path != "/" else "load")
        return self.page

    def card(self, name: str):
        return self.page.locator(f'[data-service="{name}"]')


@pytest.fixture
def visit(browser, place: Neighbourhood) -> Iterator[Visit]:
    visit = Visit(browser, place, viewport={"width": 1280, "height": 900})
    yield visit
    visit.page.context.close()


def test_every_service_is_a_card_with_its_links(visit: Visit, place: Neighbourhood, tmp_path: Path) -> None:
    page = visit.open()
    for name in ("gateway-lookup", "notification", "example-consumer", "two-factor", "action"):
        playwright.expect(visit.card(name).locator(".badge")).to_have_text("healthy", timeout=20_000)
        playwright.expect(visit.card(name)).to_contain_text("1 instance")
    links = visit.card("action").get_by_role("link")
    hrefs = {link.get_attribute("href") for link in links.all()}
    base = f"https://action.{DOMAIN}:{place.edge.https_port}"
    assert hrefs == {f"{base}/", f"{base}/docs", f"{base}/health"}
    page.screenshot(path=tmp_path / "portal.png", full_page=True)
    assert visit.errors == []
    assert visit.hosts == {place.site.removeprefix("https://")}


def test_it_is_the_front_page_of_the_platform(visit: Visit, place: Neighbourhood) -> None:
    page = visit.open()
    playwright.expect(page).to_have_title("FountainAI")
    playwright.expect(page.get_by_role("heading", level=1)).to_have_text("FountainAI")
    for service, title in (("gateway-lookup", "Gateway"), ("action", "Action")):
        heading = visit.card(service).get_by_role("heading")
        link = heading.get_by_role("link", name=title, exact=True)
        assert link.get_attribute("href") == f"https://{service}.{DOMAIN}:{place.edge.https_port}/"


def test_it_is_the_gateways_landing_page(visit: Visit) -> None:
    page = visit.open()
    playwright.expect(page.locator("footer")).to_contain_text("Gateway 1.0.0")
    playwright.expect(visit.card("gateway-lookup")).to_contain_text("it knows which service runs where")
    assert page.get_by_role("link", name="Documentation").get_attribute("href") == "/docs"
    assert (
        page.get_by_role("navigation", name="Gateway", exact=True)
        .get_by_role("link", name="Health")
        .get_attribute("href")
        == "/health"
    )


def test_no_address_of_the_inside_is_shown(visit: Visit, place: Neighbourhood) -> None:
    content = visit.open().content()
    assert "127.0.0.1" not in content
    assert f":{place.port}" not in content


def test_an_open_page_shows_a_service_go_down_and_come_back(visit: Visit, place: Neighbourhood) -> None:
    shop = place.neighbour("shop", "Shop", "Sells things.")
    visit.open()
    badge = visit.card("shop").locator(".badge")
    playwright.expect(badge).to_have_text("healthy", timeout=20_000)
    shop.well = False
    playwright.expect(badge).to_have_text("unhealthy", timeout=20_000)
    shop.well, shop.degraded = True, ["notification"]
    playwright.expect(badge).to_have_text("degraded", timeout=20_000)
    playwright.expect(visit.card("shop")).to_contain_text("Misses notification")
    shop.degraded = []
    playwright.expect(badge).to_have_text("healthy", timeout=20_000)
    shop.leave()
    playwright.expect(visit.card("shop")).to_have_count(0, timeout=20_000)
    assert visit.errors == []


def test_what_a_service_says_is_text_and_nothing_else(visit: Visit) -> None:
    visit.open()
    assert visit.card("hostile").get_by_role("heading").inner_text() == HOSTILE
    visit.page.goto(f"{visit.site}/apis#hostile", wait_until="networkidle")
    playwright.expect(visit.page.locator(".swagger-ui .info h1, .swagger-ui .info h2").first).to_be_visible()
    assert visit.page.locator("img[src=x]").count() == 0
    assert visit.errors == []


def test_an_operation_is_tried_at_the_service(visit: Visit, place: Neighbourhood, tmp_path: Path) -> None:
    page = visit.open("/apis")
    page.get_by_label("Service", exact=True).select_option("action")
    page.get_by_role("button", name="Authorize").click()
    page.locator(".auth-container input").first.fill("token-for-action")
    page.locator(".auth-btn-wrapper").get_by_role("button", name="Apply credentials").click()
    page.locator(".auth-btn-wrapper").get_by_role("button", name="Close").click()
    page.locator(".opblock-summary").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    answer = page.locator(".live-responses-table tbody .response-col_status").first
    playwright.expect(answer).to_contain_text("200", timeout=20_000)
    playwright.expect(page.locator(".live-responses-table")).to_contain_text("Bearer token-for-action")
    page.screenshot(path=tmp_path / "apis.png", full_page=True)
    own = place.site.removeprefix("https://")
    assert visit.hosts == {own, f"action.{own}"}
    assert visit.errors == []


def test_a_token_typed_for_one_service_is_forgotten_for_the_next(visit: Visit) -> None:
    page = visit.open("/apis")
    chooser = page.get_by_label("Service", exact=True)
    chooser.select_option("action")
    page.get_by_role("button", name="Authorize").click()
    page.locator(".auth-container input").first.fill("token-for-action")
    page.locator(".auth-btn-wrapper").get_by_role("button", name="Apply credentials").click()
    page.locator(".auth-btn-wrapper").get_by_role("button", name="Close").click()
    chooser.select_option("two-factor")
    page.get_by_role("button", name="Authorize").click()
    playwright.expect(page.locator(".auth-container input").first).to_have_value("")
    assert "oauth" not in page.locator(".dialog-ux").inner_text().lower()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("phone", {"viewport": {"width": 375, "height": 800}, "device_scale_factor": 2}),
        ("dark", {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"}),
        ("plain", {"viewport": {"width": 1280, "height": 900}, "java_script_enabled": False}),
    ],
)
def test_it_is_legible_on_a_phone_in_the_dark_and_without_scripts(
    browser, place: Neighbourhood, tmp_path: Path, name: str, options: dict
) -> None:
    visit = Visit(browser, place, **options)
    for path in ("/", "/apis"):
        page = visit.open(path)
        width = page.viewport_size["width"]
        if options.get("java_script_enabled", True):
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.screenshot(path=tmp_path / f"{name}{path.replace('/', '-')}.png", full_page=True)
    visit.open("/")
    assert visit.card("action").is_visible()
    assert visit.errors == []
    visit.page.context.close()


def test_a_name_that_nobody_has_shows_a_page_with_names_like_it(
    visit: Visit, place: Neighbourhood, tmp_path: Path
) -> None:
    page = visit.page
    page.goto(f"https://acton.{DOMAIN}:{place.edge.https_port}/")
    playwright.expect(page.get_by_role("heading")).to_have_text("No service is reached here")
    assert page.get_by_role("link", name="action").get_attribute("href").startswith("https://action.")
    page.screenshot(path=tmp_path / "nobody.png")
    # Without one of its own, the browser would ask for an icon where there is nobody. The policy lets it in.
    icon = page.locator("link[rel=icon]").get_attribute("href", timeout=1000)
    assert page.evaluate(LOADS, icon)


def test_the_page_of_operations_says_why_it_shows_none(visit: Visit) -> None:
    said = visit.page.get_by_role("status")
    visit.page.route("**/swagger-ui-bundle.js", lambda route: route.abort())
    visit.open("/apis")
    playwright.expect(said).to_contain_text("could not be loaded")
    nobody = apis_page(GatewaySettings(), [], 0)
    visit.page.route("**/apis", lambda route: route.fulfill(body=nobody, content_type="text/html"))
    visit.open("/apis")
    playwright.expect(said).to_contain_text("No service has said yet")
    assert not [said for said in visit.errors if "undefined" in said]
