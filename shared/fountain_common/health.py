"""Health of a service: its own job decides, a missing peer is only named."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Literal, Protocol, runtime_checkable

from fastapi import FastAPI, Response
from pydantic import BaseModel, Field

from fountain_common.logging import get_logger

CHECK_SECONDS = 2.0
"""A check that takes longer has failed."""
FRESH_SECONDS = 1.0
"""How long an answer is given again: `/health` is public and must not become a lever on the database."""

Check = Callable[[], Awaitable[object]]
"""Fails by raising or by answering False; what it says is logged and never shown."""


@runtime_checkable
class HealthCheck(Protocol):
    """A dependency that knows how it is."""

    name: str
    essential: bool

    async def check(self) -> object:
        """Raise, or return False, when it is not well."""
        ...


class HealthReport(BaseModel):
    """How a service is."""

    status: Literal["healthy", "unhealthy"]
    service: str
    version: str
    timestamp: datetime = Field(description="When this was found out, UTC.")
    uptime_seconds: float
    checks: dict[str, Literal["ok", "failing"]] = Field(description="Every dependency and how it is.")
    degraded: list[str] = Field(description="What is missing although the service does its own job.")


class Health:
    """Holds the checks of one service and answers how it is.

    Args:
        service, version: what the report says about itself.
        clock: monotonic seconds.
    """

    def __init__(self, service: str, version: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self.service, self.version = service, version
        self._clock = clock
        self._started = clock()
        self._checks: dict[str, tuple[Check, bool]] = {}
        self._report: HealthReport | None = None
        self._reported_at = 0.0
        self._lock = asyncio.Lock()
        self._failing: set[str] = set()

    def add(self, name: str, check: Check, *, essential: bool = True) -> None:
        """Add a check: an essential one that fails makes the service unhealthy, another degrades it."""
        self._checks[name] = (check, essential)
        self._report = None

    async def report(self) -> HealthReport:
        """Return how the service is, at most a second old; checks run side by side, once however many ask."""
        async with self._lock:
            if self._report is None or self._clock() - self._reported_at >= FRESH_SECONDS:
                self._report = await self._ask()
                self._reported_at = self._clock()
            return self._report

    async def _ask(self) -> HealthReport:
        names = list(self._checks)
        results = await asyncio.gather(*(self._passes(name) for name in names))
        failed = {name for name, passed in zip(names, results, strict=True) if not passed}
        self._failing = failed
        degraded = sorted(name for name in failed if not self._checks[name][1])
        return HealthReport(
            status="healthy" if len(degraded) == len(failed) else "unhealthy",
            service=self.service,
            version=self.version,
            timestamp=datetime.now(UTC),
            uptime_seconds=round(self._clock() - self._started, 3),
            checks={name: "failing" if name in failed else "ok" for name in names},
            degraded=degraded,
        )

    async def _passes(self, name: str) -> bool:
        check, _ = self._checks[name]
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                passed = await check() is not False
        except Exception as error:  # noqa: BLE001 - whatever a check raises is its way to say "failing"
            if name not in self._failing:
                get_logger().warning("health_check_failed", check=name, exc_info=error)
            return False
        if not passed and name not in self._failing:
            get_logger().warning("health_check_failed", check=name)
        return passed


def add_health(app: FastAPI, health: Health, checks: Sequence[HealthCheck] = ()) -> None:
    """Add the checks, and the route `GET /health`."""
    for item in checks:
        health.add(item.name, item.check, essential=item.essential)

    async def get_health_status(response: Response) -> HealthReport:
        """Return 200 while the service can do its job and 503 when it cannot; `degraded` names peers."""
        report = await health.report()
        response.status_code = 200 if report.status == "healthy" else 503
        response.headers["Cache-Control"] = "no-store"
        return report

    app.add_api_route(
        "/health",
        get_health_status,
        tags=["service"],
        operation_id="getHealthStatus",
        summary="Tell how this service is",
        response_model=HealthReport,
        responses={503: {"model": HealthReport, "description": "It cannot do its own job."}},
    )
