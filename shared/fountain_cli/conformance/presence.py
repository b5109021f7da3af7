"""Rules 7 and 8: a service is on the map as long as it runs, and says what becomes of it."""

import time
from dataclasses import dataclass
from typing import Any

from fountain_common.names import PLATFORM

from fountain_cli.conformance.findings import Found
from fountain_cli.conformance.missing import NotChecked
from fountain_cli.conformance.platform import Platform
from fountain_cli.conformance.target import Target

# A lease is renewed every 10 seconds, and would end by itself after 30: what goes sooner was taken back. That
# of an instance that was killed a moment ago ends while we look, and is no fault of those that live.
_RENEWED_SECONDS, _GONE_SECONDS = 40.0, 10.0
_SURELY_LATER_SECONDS = 2.0
_TOLD_SECONDS, _BACK_SECONDS = 10.0, 30.0
_REGISTER = "PUT /registry/{service}/instances/{id} at the gateway, and again every renew_seconds"


@dataclass(frozen=True)
class Restart:
    """What was seen when the service was stopped and started again.

    Attributes:
        left: instances that were still registered when it stood still.
        told: the types of what it said of itself meanwhile.
        back: whether it registered again.
    """

    left: tuple[str, ...]
    told: frozenset[str]
    back: bool


def registered(target: Target) -> Found:
    """It holds leases of its own, renews them, and lookup finds it."""
    platform = target.surroundings
    place = f"GET /registry/{platform.service}"
    leases = platform.instances()
    if not leases:
        yield place, "no instance is registered", _REGISTER
        return
    for lease in leases:
        if lease.get("identity") != platform.service:
            yield place, f"{lease['url']} is registered by {lease.get('identity')!r}", "register as itself"
    if platform.get("gateway-lookup", f"/lookup/{platform.service}") is None:
        yield f"GET /lookup/{platform.service}", "finds nothing", "register an instance that is healthy"
    before = _ends(leases)
    late = target.eventually(lambda: _all_renewed(platform, before), _RENEWED_SECONDS)
    if not late:
        yield place, "a lease is not renewed", _REGISTER


def deregisters(target: Target) -> Found:
    """When it is stopped it takes its leases back, and does not wait for them to end."""
    seen = target.once(_restarted)
    place = f"GET /registry/{target.name}"
    for instance in seen.left:
        yield place, f"instance {instance} is still registered after it stopped", "deregister on SIGTERM"
    if not seen.back:
        yield place, "it did not register again after its start", _REGISTER


def told_of_its_start(target: Target) -> Found:
    """The event log has its `service.started`, from itself."""
    platform = target.surroundings
    event = target.eventually(lambda: platform.newest("service.started"), _TOLD_SECONDS)
    if event is None:
        yield "service.started", "was never published", "publish it, with the service as subject"
    elif event.get("source") != platform.service:
        yield (
            "service.started",
            f"came from {event.get('source')!r}",
            "publish it with the service's own token",
        )


def told_of_its_stop(target: Target) -> Found:
    """It says `service.stopping` when it is stopped and `service.started` when it is started."""
    for missing in sorted({"service.stopping", "service.started"} - target.once(_restarted).told):
        yield missing, "was not published when it was stopped and started again", "publish it"


def told_how_it_is(target: Target) -> Found:
    """What `GET /health` names as degraded was told by `service.degraded`, its end by `service.recovered`."""
    platform = target.surroundings

    def agrees() -> bool:
        missed = target.ask("GET", "/health").json().get("degraded")
        return bool(missed) == _last_said_degraded(platform)

    if not target.eventually(agrees, _TOLD_SECONDS):
        said, health = (
            ("service.degraded", "all is well")
            if _last_said_degraded(platform)
            else (
                "that all is well",
                "something is missing",
            )
        )
        yield (
            "GET /health",
            f"says that {health}, and its last event says {said}",
            "publish each change of health",
        )


def _last_said_degraded(platform: Platform) -> bool:
    moments = {kind: platform.newest(f"service.{kind}") for kind in ("started", "degraded", "recovered")}
    positions = {kind: event["position"] for kind, event in moments.items() if event is not None}
    return bool(positions) and max(positions, key=lambda kind: positions[kind]) == "degraded"


def _all_renewed(platform: Platform, before: dict[str, float]) -> bool:
    """Whether there are leases, and every one ends later than it did, or belongs to a new instance."""
    now = _ends(platform.instances())
    # What the way of an answer takes moves the end by less, and a renewal by more.
    return bool(now) and all(
        end > before.get(instance, 0.0) + _SURELY_LATER_SECONDS for instance, end in now.items()
    )


def _ends(leases: list[dict[str, Any]]) -> dict[str, float]:
    """Return when each lease ends, by this process's clock."""
    now = time.monotonic()
    return {lease["instance_id"]: now + lease["expires_in_seconds"] for lease in leases}


def _restarted(target: Target) -> Restart:
    platform, keeper = target.surroundings, target.keeper
    if not target.may_restart:
        raise NotChecked("stopping the service was not asked for (--restart)")
    if keeper is None:
        raise NotChecked("the runtime that could stop and start it is not within reach")
    if target.name in PLATFORM:
        raise NotChecked("the check itself needs this service and does not stop it")
    before = {one["instance_id"] for one in platform.instances()}
    position = platform.position()
    keeper.halt(target.name)
    try:
        target.eventually(lambda: not platform.instances(), _GONE_SECONDS)
        left = tuple(str(one["instance_id"]) for one in platform.instances())
    finally:
        keeper.resume(target.name)
        keeper.wait_healthy(target.name)
    back = target.eventually(
        lambda: {one["instance_id"] for one in platform.instances()} - before, _BACK_SECONDS
    )
    target.eventually(lambda: target.ask("GET", "/health").is_success, _BACK_SECONDS)
    wanted = {"service.stopping", "service.started"}
    target.eventually(lambda: _told(platform, position) >= wanted, _TOLD_SECONDS)
    return Restart(left, _told(platform, position), bool(back))


def _told(platform: Platform, position: int) -> frozenset[str]:
    said: list[dict[str, Any]] = platform.events_since(position)
    return frozenset(event["type"] for event in said if event.get("source") == platform.service)
