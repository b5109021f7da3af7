"""The main job: a rotated secret is accepted and used by every instance in seconds,
and requests go on meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from fountain_common.names import PLATFORM

from fountain_cli.conformance.findings import Found
from fountain_cli.conformance.missing import NotChecked
from fountain_cli.conformance.platform import Platform
from fountain_cli.conformance.target import Target

_MANAGER = "secrets-manager"
_OVERLAP_SECONDS = 1.0
_CONFIRMED_SECONDS = 10.0
_RETIRED_SECONDS = _OVERLAP_SECONDS + 10.0
_HOLD = "read GET /secrets/{service} with X-Fountain-Instance, follow secret.staged, and acknowledge"


@dataclass(frozen=True)
class Rotation:
    """What was seen of one rotation.

    Attributes:
        instances: ids of the service's instances on the map.
        holders: those who hold the secret, as the Secrets Manager says at the end.
        version: the new one.
        state: of the rotation at the end.
        failures: what requests meanwhile were answered with that should not have failed.
        events: what was said about the service meanwhile.
        values: the new values; never shown.
    """

    instances: frozenset[str]
    holders: tuple[dict[str, Any], ...]
    version: int
    state: str
    failures: frozenset[str]
    events: tuple[dict[str, Any], ...]
    values: dict[str, str] = field(repr=False)


def honoured(target: Target) -> Found:
    """Every instance acknowledges a new version, its predecessor retires, and no request fails."""
    seen = target.once(rotated)
    place = f"rotation to version {seen.version} of {target.name}"
    own = {holder["instance_id"]: holder for holder in seen.holders if holder["identity"] == target.name}
    if not own:
        yield place, "no instance holds the secret", _HOLD
    for instance in sorted(seen.instances - own.keys()) if own else ():
        yield place, f"instance {instance} does not hold the secret", _HOLD
    for instance, holder in sorted(own.items()):
        for phase in ("accepts", "uses"):
            if holder[phase] < seen.version:
                said = f"instance {instance} did not say that it {phase} it within {_CONFIRMED_SECONDS:.0f} s"
                yield place, said, f"acknowledge the phase {phase!r}"
                break
    if seen.state != "retired":
        yield place, f"is {seen.state}, not complete", "acknowledge that the new version is used"
    for failure in sorted(seen.failures):
        yield (
            place,
            f"a request was answered with {failure} meanwhile",
            "accept old and new until one retires",
        )


def rotated(target: Target) -> Rotation:
    """Rotate the service's secret with a short overlap, and ask the service all the while.

    Raises:
        NotChecked: it may not, or the service has no secret.
    """
    if not target.may_rotate:
        raise NotChecked("rotating its secret was not asked for (--rotate)")
    platform = target.surroundings
    if target.name in PLATFORM and target.name != "notification":
        raise NotChecked("it serves before anybody could give it a secret, and holds none")
    path = f"/secrets/{target.name}"
    if platform.get(_MANAGER, path) is None:
        raise NotChecked("the Secrets Manager has no secret of this service")
    method, asked = _harmless(target)
    failures: set[str] = set()

    def asking(look: Any) -> Any:
        try:
            answer = target.ask(method, asked, token=target.tokens.admin)
        except httpx2.TransportError as error:
            failures.add(f"{type(error).__name__} to {method} {asked}")
        else:
            if not answer.is_success:
                failures.add(f"{answer.status_code} to {method} {asked}")
        return look()

    position = platform.position()
    with _short_overlap(platform):
        begun = platform.call(_MANAGER, "POST", f"{path}/rotate", json={})
        rotation_path = f"/rotations/{begun['rotation_id']}"

        def confirmed() -> bool:
            holders = platform.get(_MANAGER, rotation_path)["holders"]
            return all(holder["uses"] >= begun["version"] for holder in holders)

        target.eventually(lambda: asking(confirmed), _CONFIRMED_SECONDS)
        target.eventually(
            lambda: asking(lambda: platform.get(_MANAGER, rotation_path)["state"] == "retired"),
            _RETIRED_SECONDS,
        )
    ended = platform.get(_MANAGER, rotation_path)
    return Rotation(
        frozenset(str(one["instance_id"]) for one in platform.instances()),
        tuple(ended["holders"]),
        begun["version"],
        ended["state"],
        frozenset(failures),
        tuple(platform.events_since(position)),
        {name: str(value) for name, value in begun["secrets"].items()},
    )


@contextmanager
def _short_overlap(platform: Platform) -> Iterator[None]:
    """Have the old version drain for a second instead of minutes, and put back what was set."""
    path = f"/secrets/{platform.service}/rotation-policy"
    before = platform.get(_MANAGER, path)
    kept = {
        name: before[name]
        for name in ("cron", "interval_seconds", "overlap_seconds", "deadline_seconds")
        if before is not None and before.get(name) is not None
    }
    platform.call(_MANAGER, "PUT", path, json={**kept, "overlap_seconds": _OVERLAP_SECONDS})
    try:
        yield
    finally:
        if before is None:
            platform.call(_MANAGER, "DELETE", path)
        else:
            platform.call(_MANAGER, "PUT", path, json=kept)


def _harmless(target: Target) -> tuple[str, str]:
    """An operation that answers 200 and changes nothing: one behind a token if there is one."""
    if target.tokens.admin is not None:
        for operation in target.guarded():
            streams = "text/event-stream" in str(operation.spec.get("responses", {}))
            if operation.method != "get" or "{" in operation.template or streams:
                continue
            if target.ask("GET", operation.template, token=target.tokens.admin).status_code == 200:
                return "GET", operation.template
    return "GET", "/health"
