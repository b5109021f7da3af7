"""Which requests had a healthy instance to go to, and therefore had to be answered (pure).

A request is judged if, from `SETTLE_SECONDS` before it was sent until it was answered or given up,

- every part that it passes (the edge, the gateway) was undisturbed, and
- of every service that it needs, one instance at least was: the same one for all that time.

One that may not be sent again is judged only if, for all that time, every instance that it could have come
to was undisturbed.

Undisturbed is what this run did nothing to, or what has answered a health check since. A part that fails by
itself excuses nothing. What is not judged is counted by its reason, and a run of which too little was judged
has shown nothing and fails (`too_little`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from chaos.history import Request, Trouble
from chaos.schedule import Part

SETTLE_SECONDS = 3.0
"""So long after it is healthy again, whoever looked for a part has found it."""
RECOVERY_SECONDS = 45.0
"""Who is not well so long after it was let go has not recovered; that excuses nothing any more."""
LEAST_SHARE = 0.4
"""So much of all idempotent requests must have been judged ..."""
LEAST_SHARE_OF_A_KIND = 0.15
"""... and so much of each kind ..."""
ENOUGH_TO_SHARE = 50
"""... of which so many were sent: a share of a handful says nothing."""
ENOUGH_TO_SUCCEED = 10
"""Of so many of a kind, that share must have been answered, judged or not."""
NOT_IDEMPOTENT = "it is not idempotent"


@dataclass
class Tally:
    """Requests of one kind."""

    sent: int = 0
    ok: int = 0
    judged: int = 0
    slowest: float = 0.0
    """The longest that a judged one took, in seconds."""
    failed: list[Request] = field(default_factory=list)
    excluded: Counter[str] = field(default_factory=Counter)
    """Failures that had nowhere to go, by reason."""
    not_judged: Counter[str] = field(default_factory=Counter)
    """All that was not judged, answered or not, by reason."""


class Judge:
    """Knows when which part was disturbed.

    Args:
        troubles: what was done to each part.
        instances: the parts of each service.
        settle: seconds; see above.
    """

    def __init__(
        self,
        troubles: Iterable[Trouble],
        instances: Mapping[str, Sequence[Part]],
        settle: float = SETTLE_SECONDS,
    ) -> None:
        self._instances, self._settle = instances, settle
        self._spans: defaultdict[Part, list[tuple[float, float]]] = defaultdict(list)
        for trouble in troubles:
            self._spans[trouble.part].append((trouble.began, _over(trouble)))

    def disturbed(self, part: Part, began: float, ended: float) -> bool:
        """Tell whether a part was in trouble at any moment between the two."""
        return any(start <= ended and began <= end for start, end in self._spans[part])

    def reason_against(self, request: Request) -> str:
        """Return why a request cannot be judged; "" if it can."""
        began = request.began - self._settle
        if not request.idempotent:
            parts = [
                part
                for need in request.needs
                for part in ([need] if isinstance(need, Part) else self._instances[need])
            ]
            disturbed = any(self.disturbed(part, began, request.ended) for part in parts)
            return NOT_IDEMPOTENT if disturbed else ""
        for need in request.needs:
            if isinstance(need, Part):
                if self.disturbed(need, began, request.ended):
                    return f"{need} was disturbed"
            elif all(self.disturbed(part, began, request.ended) for part in self._instances[need]):
                return f"no instance of {need} was undisturbed"
        return ""


def _over(trouble: Trouble) -> float:
    """Return until when a trouble excuses."""
    if trouble.ended is None:
        return float("inf")
    latest = trouble.ended + RECOVERY_SECONDS
    return latest if trouble.recovered is None else min(trouble.recovered, latest)


def tallies(requests: Iterable[Request], judge: Judge) -> dict[str, Tally]:
    """Count requests by kind."""
    found: defaultdict[str, Tally] = defaultdict(Tally)
    for request in requests:
        tally = found[request.kind]
        tally.sent += 1
        tally.ok += not request.failure
        reason = judge.reason_against(request)
        if reason:
            tally.not_judged[reason] += 1
            if request.failure:
                tally.excluded[reason] += 1
        else:
            tally.judged += 1
            tally.slowest = max(tally.slowest, request.ended - request.began)
            if request.failure:
                tally.failed.append(request)
    return dict(found)


def too_little(found: Mapping[str, Tally]) -> list[str]:
    """Say where so little was judged that the run has shown nothing."""
    idempotent = {kind: one for kind, one in found.items() if NOT_IDEMPOTENT not in one.not_judged}
    sent = sum(one.sent for one in idempotent.values())
    judged = sum(one.judged for one in idempotent.values())
    said = []
    if judged < LEAST_SHARE * max(sent, 1):
        said.append(f"{judged} of {sent} idempotent requests were judged; {LEAST_SHARE:.0%} is the least.")
    for kind, one in sorted(idempotent.items()):
        if one.sent >= ENOUGH_TO_SHARE and one.judged < LEAST_SHARE_OF_A_KIND * one.sent:
            least = f"{LEAST_SHARE_OF_A_KIND:.0%} is the least"
            said.append(f"{one.judged} of {one.sent} requests to {kind} were judged; {least}.")
    for kind, one in sorted(found.items()):
        # What is not done leaves nothing to look at: no link to open, no event to lose.
        if one.sent >= ENOUGH_TO_SUCCEED and one.ok < LEAST_SHARE_OF_A_KIND * one.sent:
            least = f"{LEAST_SHARE_OF_A_KIND:.0%} is the least"
            said.append(f"{one.ok} of {one.sent} requests to {kind} were answered; {least}.")
    return said
