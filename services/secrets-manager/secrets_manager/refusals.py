"""What was refused so often that not each refusal has a record: how often, once it is over."""

from typing import Final

from secrets_manager.audit import Audit
from secrets_manager.throttle import FailureThrottle

_MOST_RECORDS: Final = 20
"""So many addresses have a record of their own in one report, those that failed most often."""


async def report(
    audit: Audit,
    throttle: FailureThrottle,
    action: str,
    now: float,
    *,
    silent_seconds: float | None = None,
) -> None:
    """Write down the failures of addresses that are silent now.

    Raises:
        Unavailable: the audit cannot be written; what has no record yet is there the next time.
    """
    found = throttle.unreported(now, silent_seconds=silent_seconds)
    found.sort(key=lambda one: one[1], reverse=True)
    groups = [[one] for one in found[:_MOST_RECORDS]]
    if rest := found[_MOST_RECORDS:]:
        groups.append(rest)
    for group in groups:
        detail: dict[str, object] = {"failures": sum(failures for _, failures in group)}
        if len(group) == 1 and group[0][0]:
            detail["from"] = group[0][0]
        else:
            detail["from"] = "several addresses"
        await audit.append(
            caller="unknown", action=action, target="secrets-manager", outcome="denied", detail=detail
        )
        for address, failures in group:
            throttle.reported(address, failures)
