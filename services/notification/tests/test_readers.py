"""Readers that are not ours: a real browser and an SDK of CloudEvents understand what is sent, and resume."""

import shutil
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from fountain_common.testing import wait_until
from standardwebhooks import Webhook

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


def test_a_page_in_a_browser_reads_and_resumes_without_a_gap(start: Any, page: Any) -> None:
    running = start()
    page.goto(f"{running.url}/docs")
    page.evaluate(READER, running.bearer("vera", ["viewer"])["Authorization"])
    expected = [running.publish("order.placed", "ä", {"text": "line\nbreak: 🦆"}) for _ in range(3)]
    page.wait_for_function("reader.events.length === 3")
    page.evaluate("reader.cut.abort()")
    assert page.evaluate("reader.done") == "AbortError"
    wait_until(lambda: len(running.board.streams) == 1, "the page's stream has ended")
    expected += [running.publish("order.placed", data=number) for number in range(2)]
    page.evaluate("reader.open()")
    page.wait_for_function("reader.events.length >= 5")
    expected.append(running.publish("order.placed", data="live again"))
    page.wait_for_function("reader.events.length >= 6")
    assert page.evaluate("reader.events") == expected
    assert page.evaluate("[reader.gaps, reader.opened]") == [0, 2]


def test_a_cloudevents_sdk_reads_what_is_listed_streamed_and_delivered(
    start: Any, listen: Any, receiver: Any
) -> None:
    running = start()
    secrets = [running.subscribe(callback_url=receiver.url)["signing_secret"]]
    with running.client() as client:
        secrets.append(client.post("/subscriptions/hook/secret/rotate").json()["signing_secret"])
    stream = listen(running, "order.*")
    event = running.publish(
        "order.placed", "o1", {"total": 3}, recipient="tester", expires_at="2099-01-02T03:04:05Z"
    )
    stream.wait_for(1)
    wait_until(lambda: receiver.requests, "the delivery")
    headers, delivered = receiver.requests[0]
    for secret in secrets:
        Webhook(secret).verify(delivered, headers)
    with running.client() as client:
        alone = client.get(f"/notifications/{event['id']}").content

    for body in (delivered, alone, orjson.dumps(stream.events[0][2])):
        read = JSONFormat().read(CloudEvent, body)
        assert (read.get_id(), read.get_type(), read.get_source()) == (event["id"], "order.placed", "tester")
        assert (read.get_subject(), read.get_data()) == ("o1", {"total": 3})
        assert read.get_time() is not None
        extensions = {"position": event["position"], "recipient": "tester"}
        assert extensions.items() <= read.get_attributes().items()
        assert read.get_attributes()["expirytime"].startswith("2099-01-02T03:04:05")
