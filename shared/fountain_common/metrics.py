"""Prometheus metrics of one application, in a registry of its own."""

from collections.abc import Sequence

from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import choose_encoder
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
UNMATCHED = "unmatched"
"""The one label for every path that no route has: a raw path never becomes a label."""


class Metrics:
    """The registry of one application, and the metrics of its requests.

    `registry` takes whatever else a service counts; names there start with `fountain_`.
    """

    def __init__(self, service: str = "") -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._info = Info("fountain_service", "The service that runs here.", registry=self.registry)
        self.identify(service, "")
        self._requests = Counter(
            "http_requests", "Requests answered.", ["method", "path", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "Seconds until an answer was complete; streams are not in it.",
            ["method", "path"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.open = 0
        """Requests being answered now; a plain number, as it changes twice a request."""
        Gauge(
            "http_requests_in_progress",
            "Requests being answered, streams included.",
            registry=self.registry,
        ).set_function(lambda: self.open)
        # Looking a child up by its labels costs more than all the rest: each is looked up once. Bounded by
        # methods x routes x statuses, as paths are templates.
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._observers: dict[tuple[str, str], Histogram] = {}

    def identify(self, service: str, version: str) -> None:
        """Say whose metrics these are."""
        self._info.info({"service": service, "version": version})

    def observe(self, method: str, path: str, status: int, seconds: float | None) -> None:
        """Count one request.

        Args:
            method: as sent; one that is not known counts as OTHER.
            path: the template of its route, or `UNMATCHED`.
            status: of the answer.
            seconds: how long it took; None leaves it out of the histogram.
        """
        if method not in _METHODS:
            method = "OTHER"
        counter = self._counters.get((method, path, status))
        if counter is None:
            counter = self._counters[method, path, status] = self._requests.labels(method, path, str(status))
        counter.inc()
        if seconds is None:
            return
        observer = self._observers.get((method, path))
        if observer is None:
            observer = self._observers[method, path] = self._seconds.labels(method, path)
        observer.observe(seconds)


def add_metrics(app: FastAPI, metrics: Metrics) -> None:
    """Add the route `GET /metrics`, for Prometheus inside the network; the API's description omits it."""

    def get_metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        names: Sequence[str] = request.query_params.getlist("name[]")
        registry = metrics.registry.restricted_registry(names) if names else metrics.registry
        return Response(encode(registry), headers={"content-type": content_type})

    app.add_api_route("/metrics", get_metrics, include_in_schema=False)
