"""What must be true once everything is whole again (pure): each rule answers what violates it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chaos.history import (
    Acknowledged,
    NewSigningKey,
    NewVersion,
    Opening,
    Received,
    Request,
    RotationSeen,
    Token,
    Trouble,
)
from chaos.judging import RECOVERY_SECONDS, Tally, too_little
from chaos.schedule import Kind, Part

JOIN_SECONDS = 15.0
"""Who is up, and has had the Secrets Manager and the gateway for so long, is known to both: a lease is
renewed every ten seconds, with jitter.
"""
LEAST_BROKEN = 0.4
"""So much of what the seed draws must have been broken: a slow machine gets to less of it in its time."""
ENDED = ("retired", "aborted", "superseded")
TOKEN_SECONDS = 900.0
"""So long a token lives, and the key that signed it is published."""
_CLOCK_SECONDS = 1.0
"""What a part reckons with may differ so much from this machine's clock."""
OPENED = 307
GONE = 410


@dataclass(frozen=True)
class Violation:
    """Something that must not be.

    Attributes:
        rule: the invariant, in a few words.
        detail: what was seen.
        services: whose logs tell more.
    """

    rule: str
    detail: str
    services: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.rule}: {self.detail}"


def received(acknowledged: Iterable[Acknowledged], events: Iterable[Received], by: str) -> list[Violation]:
    """Every event that was acknowledged has come."""
    keys = {event.key for event in events}
    return [
        Violation(
            "every acknowledged publish was received",
            f"{one.key} ({one.via}) did not reach the {by}",
            ("notification",),
        )
        for one in acknowledged
        if one.key not in keys
    ]


def in_order(events: Iterable[Received], by: str, *, by_subject: bool) -> list[Violation]:
    """What comes for the first time comes after everything earlier: of its subject, or of all."""
    newest: defaultdict[str, int] = defaultdict(int)
    seen: set[str] = set()
    found = []
    for event in events:
        if event.key in seen:
            continue
        seen.add(event.key)
        lane = event.subject if by_subject else ""
        if event.position <= newest[lane]:
            found.append(
                Violation(
                    "events come in order",
                    f"the {by} got {event.key} at position {event.position} after {newest[lane]}",
                    ("notification",),
                )
            )
        newest[lane] = max(newest[lane], event.position)
    return found


def stored_once(events: Iterable[Received]) -> list[Violation]:
    """However often one publish was sent with its Idempotency-Key, it is one event."""
    keys: defaultdict[str, set[str]] = defaultdict(set)
    for event in events:
        if event.number:
            keys[event.number].add(event.key)
    return [
        Violation("a repeated publish is one event", f"{number} was stored as {len(ids)}", ("notification",))
        for number, ids in keys.items()
        if len(ids) > 1
    ]


def nothing_missed(gaps: int) -> list[Violation]:
    """A stream that is resumed in time is never told that events are gone."""
    rule = "a stream that resumes loses nothing"
    return [Violation(rule, f"{gaps} times it was told of a gap", ("notification",))] if gaps else []


def genuine(forged: int) -> list[Violation]:
    """Every delivery carries a signature that fits."""
    rule = "deliveries are signed"
    return [Violation(rule, f"{forged} had no signature that fits", ("notification",))] if forged else []


def rotations_ended(rotations: Iterable[RotationSeen]) -> list[Violation]:
    """Every rotation has ended, or is overdue and says for whom it waits.

    Who is late is worked out by the answer, from those who hold the secret at that moment: with nobody late,
    the next step is due, and a rotation that does not take it is stuck. Its `reason` is why it was begun.
    """
    found = []
    for one in rotations:
        if one.state not in ENDED and not (one.state == "overdue" and one.late):
            waiting = f"waiting for {', '.join(one.late)}" if one.late else "waiting for nobody"
            found.append(
                Violation(
                    "every rotation ends, or says why not",
                    f"{one.service} version {one.version} ({one.rotation_id}) is {one.state}, {waiting}",
                    ("secrets-manager", one.service),
                )
            )
    return found


def rotations_listed(given: Iterable[NewVersion], rotations: Iterable[RotationSeen]) -> list[Violation]:
    """Every rotation that was acknowledged is listed."""
    listed = {one.rotation_id for one in rotations}
    return [
        Violation(
            "no rotation is lost",
            f"{one.rotation_id} gave version {one.version} of {one.service} and is not listed",
            ("secrets-manager",),
        )
        for one in given
        if one.rotation_id not in listed
    ]


def on_the_newest(holds: Mapping[str, int | None], active: int) -> list[Violation]:
    """Every instance of the consumer uses the active version; None is one that did not say."""
    return [
        Violation(
            "every consumer is on the newest version",
            f"{where} is on {version}, the newest is {active}",
            ("example-consumer", "secrets-manager"),
        )
        for where, version in holds.items()
        if version != active
    ]


def nobody_late(rotations: Iterable[RotationSeen]) -> list[Violation]:
    """With every part well, no rotation of any service waits for one of them."""
    return [
        Violation(
            "every consumer is on the newest version",
            f"{who} has not confirmed version {one.version} of {one.service}",
            (one.service, "secrets-manager"),
        )
        for one in rotations
        for who in one.late
    ]


def audit_whole(report: Mapping[str, Any]) -> list[Violation]:
    """The audit verifies, against its anchor in the event log too."""
    rule = "the audit chain is whole"
    if not report.get("intact"):
        return [Violation(rule, f"{report.get('findings') or report}", ("secrets-manager",))]
    event_log = report.get("event_log")
    if event_log == "checked":
        return []
    # An event log without an anchor has lost it, or was never given one: either way nothing was compared.
    detail = f"its anchor in the event log was not checked: the log is {event_log}"
    return [Violation(rule, detail, ("secrets-manager", "notification"))]


def versions_kept(
    acknowledged: Iterable[NewVersion],
    listed: Mapping[str, Iterable[int]],
    opened: Mapping[tuple[str, int], str | None],
    active: Mapping[str, NewVersion | None],
) -> list[Violation]:
    """Every version that a rotation gave is listed, and opens with the values given, whatever its state now.

    Args:
        acknowledged: what rotations gave.
        listed: the versions of each service.
        opened: the fingerprint of each version that was read again; None for one that does not open.
        active: the version that each service is given now; None where it is given none.
    """
    rule = "no secret version is lost"
    known = {service: set(versions) for service, versions in listed.items()}
    found = [
        Violation(rule, f"the active secret of {service} does not open", ("secrets-manager",))
        for service, now in active.items()
        if now is None
    ]
    used = {(one.service, one.version): one.fingerprint for one in active.values() if one is not None}
    for one in acknowledged:
        problems = []
        if one.version not in known.get(one.service, ()):
            problems.append("was given and is not listed")
        # One that was not read says nothing.
        key = (one.service, one.version)
        values = opened.get(key, one.fingerprint)
        if values is None:
            problems.append("was given and does not open")
        elif {values, used.get(key, values)} != {one.fingerprint}:
            problems.append("has other values than were given")
        found += [
            Violation(rule, f"{one.service} version {one.version} {problem}", ("secrets-manager",))
            for problem in problems
        ]
    return found


def signing_keys_turn(
    given: Sequence[NewSigningKey], tokens: Iterable[Token], published: Collection[str], now: float
) -> list[Violation]:
    """A signing key is published before it signs, signs from its moment on, and stays as long as its tokens.

    Args:
        given: by rotations, in their order; the same one may be given twice.
        tokens: that were issued.
        published: the names of the keys that are published now.
        now: in unix seconds.
    """
    found = [f"{one.kid} was given and is not published" for one in given if one.was_published is False]
    keys = sorted({(one.signs_from, one.kid) for one in given})
    for (_, kid), (until, _) in zip(keys, [*keys[1:], (now, "")], strict=True):
        if now < until + TOKEN_SECONDS and kid not in published:
            found.append(f"{kid} is not published, and its tokens live")
    ages = {kid: age for age, (_, kid) in enumerate(keys)}
    for token in tokens:
        turned = [
            age for age, (signs_from, _) in enumerate(keys) if signs_from <= token.began - _CLOCK_SECONDS
        ]
        if turned and ages.get(token.kid, -1) < turned[-1]:
            found.append(f"{token.kid} signs at {token.began:.2f}, after its successor has begun")
        if token.kid in ages and keys[ages[token.kid]][0] > token.ended + _CLOCK_SECONDS:
            found.append(f"{token.kid} signs at {token.ended:.2f}, before its moment")
    return [Violation("signing keys turn without a gap", one, ("secrets-manager",)) for one in found]


def links_open(openings: Iterable[Opening], retired: Mapping[int, float]) -> list[Violation]:
    """A link opens everywhere until the version that signed it is retired.

    Args:
        openings: who asked where, and what the answer was.
        retired: when which version was retired, in unix seconds.
    """
    return [
        Violation(
            "every link opens while its version is not retired",
            f"{one.where} answered {one.status} to a link of version {one.version}",
            ("example-consumer", "secrets-manager"),
        )
        for one in openings
        if one.status != OPENED
        and not (one.status == GONE and one.version in retired and retired[one.version] <= one.ended)
    ]


def requests_answered(tallies: Mapping[str, Tally]) -> list[Violation]:
    """No idempotent request failed that had a healthy instance to go to, and enough could be judged."""
    failed = [request for tally in tallies.values() for request in tally.failed]
    rule = "no idempotent request fails that had a healthy instance to go to"
    return [
        *(Violation(rule, f"{one.kind} at {one.began:.2f}: {one.failure}", _services(one)) for one in failed),
        *(Violation("enough was judged", said) for said in too_little(tallies)),
    ]


def _services(request: Request) -> tuple[str, ...]:
    return tuple(need if isinstance(need, str) else need.service for need in request.needs)


def recovered(troubles: Sequence[Trouble]) -> list[Violation]:
    """Whoever was broken is well again soon after it was let go, by itself."""
    found = []
    for one in troubles:
        seconds = one.seconds
        if seconds is None or seconds > RECOVERY_SECONDS:
            took = "never" if seconds is None else f"after {seconds:.0f} s"
            detail = f"{one.part} was well {took} after a {one.kind}"
            found.append(Violation("every part recovers", detail, (one.part.service,)))
    return found


def joined(troubles: Sequence[Trouble], by: Collection[Part]) -> list[Violation]:
    """Who has started anew, and is up, is found again soon after those by which it joins are there.

    Args:
        troubles: of all parts.
        by: the Secrets Manager and the gateway.
    """
    away = sorted(
        (one.began, one.recovered, str(one.part)) for one in troubles if one.part in by and one.recovered
    )
    found = []
    for one in troubles:
        if one.kind is Kind.PAUSE or one.answered is None or one.recovered is None:
            continue
        since = one.answered
        for began, over, part in away:
            if part != str(one.part) and began < one.recovered and over > since:
                since = over
        if one.recovered - since > JOIN_SECONDS:
            detail = f"{one.part} was up after a {one.kind}, and not found for {one.recovered - since:.0f} s"
            found.append(
                Violation(
                    "who is up is found", detail, (one.part.service, "gateway-lookup", "secrets-manager")
                )
            )
    return found


def broken(troubles: Sequence[Trouble], drawn: int) -> list[Violation]:
    """What the seed draws was done, most of it: a run that breaks nothing has shown nothing."""
    rule = "parts were broken"
    refused = [
        Violation(rule, f"{one.kind} {one.part} went wrong: {one.note}") for one in troubles if one.note
    ]
    done = len(troubles) - len(refused)
    if done < LEAST_BROKEN * drawn:
        refused.append(Violation(rule, f"{done} of {drawn} that were drawn; {LEAST_BROKEN:.0%} is the least"))
    return refused
