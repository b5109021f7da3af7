from fastapi import FastAPI
from fastapi.testclient import TestClient
from fountain_common.metrics import UNMATCHED, Metrics, add_metrics
from prometheus_client.parser import text_string_to_metric_families


def _read(metrics: Metrics, path: str = "/metrics") -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    app = FastAPI()
    add_metrics(app, metrics)
    text = TestClient(app).get(path).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_request_is_counted_and_timed() -> None:
    metrics = Metrics("orders")
    for seconds in (0.002, 0.3):
        metrics.observe("GET", "/orders/{number}", 200, seconds)
    found = _read(metrics)
    labels = frozenset({("method", "GET"), ("path", "/orders/{number}")})
    assert found["http_requests_total", labels | {("status", "200")}] == 2
    assert found["http_request_duration_seconds_count", labels] == 2
    assert found["http_request_duration_seconds_bucket", labels | {("le", "0.0025")}] == 1


def test_a_stream_is_counted_and_not_timed() -> None:
    metrics = Metrics("orders")
    metrics.observe("GET", "/stream", 200, None)
    found = _read(metrics)
    assert any(name == "http_requests_total" for name, _ in found)
    assert not any(name == "http_request_duration_seconds_count" for name, _ in found)


def test_invented_methods_make_no_new_labels() -> None:
    metrics = Metrics("orders")
    for number in range(100):
        metrics.observe(f"METHOD{number}", UNMATCHED, 405, 0.1)
    labels = {labels for name, labels in _read(metrics) if name == "http_requests_total"}
    assert labels == {frozenset({("method", "OTHER"), ("path", UNMATCHED), ("status", "405")})}


def test_it_says_whose_metrics_these_are() -> None:
    metrics = Metrics("orders")
    metrics.identify("orders", "1.2.3")
    assert (
        _read(metrics)["fountain_service_info", frozenset({("service", "orders"), ("version", "1.2.3")})] == 1
    )


def test_two_applications_have_two_registries() -> None:
    first, second = Metrics("a"), Metrics("b")
    first.observe("GET", "/x", 200, 0.1)
    assert not any(name == "http_requests_total" for name, _ in _read(second))


def test_open_requests_are_a_gauge() -> None:
    metrics = Metrics("a")
    metrics.open = 3
    assert _read(metrics, "/metrics?name[]=http_requests_in_progress") == {
        ("http_requests_in_progress", frozenset()): 3
    }
