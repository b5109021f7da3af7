"""A page in a real browser reads the stream, and resumes."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from fountain_common.testing import wait_until

CHROMIUM = shutil.which("chromium")

# EventSource itself sends no Authorization header, so pages read with `fetch`, as its replacements do: lines
# after the HTML standard, section 9.2.6, and Last-Event-ID when the connection is opened again.
READER = """
(token) => {
  const reader = { events: [], gaps: 0, lastId: "", cut: null, opened: 0 };
  const dispatch = (lines) => {
    const fields = { event: "message", data: [] };
    for (const line of lines) {
      if (line.startsWith(":")) continue;
      const [, name, value] = line.match(/^([^:]*):? ?(.*)$/);
      if (name === "data") fields.data.push(value);
      else if (name === "id") reader.lastId = value;
      else if (name === "event") fields.event = value;
    }
    if (fields.event === "gap") reader.gaps += 1;
    else if (fields.data.length) reader.events.push(JSON.parse(fields.data.join("\\n")));
  };
  reader.open = async () => {
    reader.cut = new AbortController();
    const headers = { Authorization: token, Accept: "text/event-stream" };
    if (reader.lastId) headers["Last-Event-ID"] = reader.lastId;
    const options = { headers, signal: reader.cut.signal };
    const response = await fetch("/notifications/stream?type=order.*", options);
    reader.opened += 1;
    reader.done = (async () => {
      let text = "";
      const stream = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await stream.read();
        if (done) return;
        const parts = (text + value).split("\\n\\n");
        text = parts.pop();
        for (const part of parts) dispatch(part.split("\\n"));
      }
    })().catch((error) => error.name);
  };
  window.reader = reader;
  return reader.open();
}
"""


@pytest.fixture
def page() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs Debian's chromium")
    with playwright.sync_playwright() as drive:
        browser = drive.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page()
        browser.close()


def received(page: Any, count: int) -> None:
    # Asked from here: what the page itself would look at again and again, its policy lets nobody evaluate.
    wait_until(lambda: page.evaluate("reader.events.length") >= count, f"the page has {count} events")


def test_a_page_in_a_browser_reads_and_resumes_without_a_gap(start: Any, page: Any) -> None:
    running = start()
    page.goto(f"{running.url}/docs")
    page.evaluate(READER, running.bearer("vera", ["viewer"])["Authorization"])
    expected = [running.publish("order.placed", "ä", {"text": "line\nbreak: 🦆"}) for _ in range(3)]
    received(page, 3)
    page.evaluate("reader.cut.abort()")
    assert page.evaluate("reader.done") == "AbortError"
    wait_until(lambda: len(running.board.streams) == 1, "the page's stream has ended")
    expected += [running.publish("order.placed", data=number) for number in range(2)]
    page.evaluate("reader.open()")
    received(page, 5)
    expected.append(running.publish("order.placed", data="live again"))
    received(page, 6)
    assert page.evaluate("reader.events") == expected
    assert page.evaluate("[reader.gaps, reader.opened]") == [0, 2]
