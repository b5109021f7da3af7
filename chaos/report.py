"""What a run has shown: tables for people, a document for programs."""

from collections import Counter
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from chaos.history import History, Received
from chaos.run import Outcome
from chaos.schedule import Kind

_SHOWN_OF_A_RULE = 5


def document(outcome: Outcome) -> dict[str, Any]:
    """Return everything that is counted, as JSON."""
    history = outcome.history
    return {
        "runtime": outcome.runtime,
        "seed": outcome.seed,
        "seconds": outcome.seconds,
        "ok": not outcome.violations,
        "load_per_processor": round(outcome.load, 1),
        "disturbances": {
            str(part): {
                **Counter(str(one.kind) for one in troubles),
                "recovery_seconds": recovery([one.seconds for one in troubles]),
            }
            for part, troubles in sorted(history.troubles_by_part().items())
        },
        "could_not_be_done": [f"{one.kind} {one.part}: {one.note}" for one in history.troubles if one.note],
        "requests": {
            kind: {
                "sent": one.sent,
                "ok": one.ok,
                "judged": one.judged,
                "slowest_judged_seconds": round(one.slowest, 2),
                "failed": len(one.failed),
                "excluded": dict(one.excluded),
                "not_judged": dict(one.not_judged),
            }
            for kind, one in sorted(outcome.tallies.items())
        },
        "rotations": dict(Counter(one.state for one in history.rotations)),
        "events": {
            "acknowledged": dict(Counter(one.via for one in history.acknowledged)),
            "streamed": counted(history.streamed),
            "delivered": counted(history.delivered),
        },
        "signing_keys": {
            "given": len({one.kid for one in history.signing_keys}),
            "signed": len({one.kid for one in history.tokens}),
            "tokens": len(history.tokens),
        },
        "links": {"signed": len(history.links), "opened": len(history.openings)},
        "violations": [
            {"rule": one.rule, "detail": one.detail, "services": list(one.services)}
            for one in outcome.violations
        ],
    }


def recovery(seconds: list[float | None]) -> dict[str, float | None]:
    """Return the median and the longest of some times; None stands for one that did not recover."""
    known = [one for one in seconds if one is not None]
    return {
        "p50": round(median(known), 2) if known else None,
        "max": round(max(known), 2) if known and len(known) == len(seconds) else None,
    }


def counted(events: list[Received]) -> dict[str, int]:
    """Return how many events came, and how many of them again."""
    different = len({one.key for one in events})
    return {"received": different, "duplicates": len(events) - different}


def show(outcome: Outcome, console: Console) -> None:
    """Print the tables."""
    said = document(outcome)
    console.print(_disturbances(said))
    console.print(_requests(said))
    console.print(_rest(said, outcome.history))
    for rule, count in Counter(one.rule for one in outcome.violations).items():
        console.print(f"Violated {count} times: {rule}", style="red", markup=False, highlight=False)
        for one in [one for one in outcome.violations if one.rule == rule][:_SHOWN_OF_A_RULE]:
            where = f" [logs of {', '.join(dict.fromkeys(one.services))}]" if one.services else ""
            console.print(f"  {one.detail}{where}", markup=False, highlight=False)
    for said_by_runtime in said["could_not_be_done"]:
        console.print(f"Could not be done: {said_by_runtime}", markup=False, highlight=False)


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table


def _disturbances(said: dict[str, Any]) -> Table:
    table = _table("Disturbances", "part", *Kind, "well again after: median", "longest")
    for part, counts in said["disturbances"].items():
        times = counts["recovery_seconds"]
        table.add_row(
            part,
            *(str(counts.get(str(kind), 0)) for kind in Kind),
            _seconds(times["p50"]),
            _seconds(times["max"]),
        )
    return table


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"


def _requests(said: dict[str, Any]) -> Table:
    headings = ("kind", "sent", "ok", "judged", "slowest", "failed", "excluded", "mostly since")
    table = _table("Requests", *headings)
    for kind, counts in said["requests"].items():
        excluded = Counter(counts["excluded"])
        reason = excluded.most_common(1)[0][0] if excluded else ""
        table.add_row(
            kind,
            *(str(counts[name]) for name in ("sent", "ok", "judged")),
            f"{counts['slowest_judged_seconds']:.2f} s" if counts["judged"] else "",
            str(counts["failed"]),
            str(excluded.total()),
            reason,
        )
    return table


def _rest(said: dict[str, Any], history: History) -> Table:
    table = _table("Also", "what", "")
    rotations, events = said["rotations"], said["events"]
    table.add_row("rotations", ", ".join(f"{count} {state}" for state, count in rotations.items()))
    table.add_row("events acknowledged", ", ".join(f"{n} {via}" for via, n in events["acknowledged"].items()))
    for name in ("streamed", "delivered"):
        counts = events[name]
        table.add_row(f"events {name}", f"{counts['received']}, {counts['duplicates']} of them again")
    table.add_row("links", f"{said['links']['signed']} signed, {said['links']['opened']} answers to openings")
    keys = said["signing_keys"]
    table.add_row(
        "signing keys", f"{keys['given']} given, {keys['signed']} have signed, {keys['tokens']} tokens"
    )
    table.add_row("versions given", str(len(history.versions)))
    table.add_row("machine", f"{said['load_per_processor']:.1f} wanted each processor at a time")
    return table
