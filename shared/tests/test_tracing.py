import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from fountain_common.app import Alone, create_service
from fountain_common.settings import ServiceSettings
from fountain_common.tracing import TraceParent, enter_span, parse_traceparent
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_traceparent_goes_in_and_out() -> None:
    parsed = parse_traceparent(f"00-{TRACE}-{SPAN}-01")
    assert parsed == TraceParent(TRACE, SPAN, 1)
    assert str(parsed) == f"00-{TRACE}-{SPAN}-01"


def test_a_child_stays_in_the_trace() -> None:
    child = TraceParent(TRACE, SPAN, 1).child()
    assert (child.trace_id, child.flags) == (TRACE, 1)
    assert child.parent_id != SPAN


def test_a_later_version_may_say_more() -> None:
    assert parse_traceparent(f"01-{TRACE}-{SPAN}-03-more") == TraceParent(TRACE, SPAN, 1)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\r\nx: y",
    ],
)
def test_a_malformed_one_is_ignored(header: str) -> None:
    assert parse_traceparent(header) is None


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return exporter


def _client(settings: ServiceSettings) -> TestClient:
    app = create_service(settings, title="x", description="x", version="1", platform=Alone(settings))
    return TestClient(app)


def test_tracing_is_off_unless_it_is_asked_for(
    settings: ServiceSettings, spans: InMemorySpanExporter
) -> None:
    _client(settings).get("/health")
    assert spans.get_finished_spans() == ()
    assert enter_span() is None


def test_with_tracing_on_the_logs_name_the_trace_of_the_span(
    settings: ServiceSettings, spans: InMemorySpanExporter, log: Callable[[], list[dict[str, Any]]]
) -> None:
    settings.tracing = True
    _client(settings).get("/nothing", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
    (span,) = spans.get_finished_spans()
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == TRACE
    assert log()[-1]["trace_id"] == TRACE


def test_a_span_holds_no_credential(settings: ServiceSettings, spans: InMemorySpanExporter) -> None:
    settings.tracing = True
    _client(settings).get("/marker?token=marker", headers={"Authorization": "Bearer marker"})
    (span,) = spans.get_finished_spans()
    assert "marker" not in json.dumps(dict(span.attributes or {}), default=str)
