"""The audit: its records, and whether they are all there as they were written."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self

import orjson
from fastapi import APIRouter, Query
from fountain_common.errors import problem_responses
from pydantic import AwareDatetime, BaseModel, Field

from secrets_manager.anchor_log import SOURCE
from secrets_manager.anchor_standing import Doubt, Remembered
from secrets_manager.audit_chain import Record
from secrets_manager.audit_reading import Filter
from secrets_manager.audit_verify import Finding, Report
from secrets_manager.core import Core
from secrets_manager.deps import AuditReader, TheCore
from secrets_manager.paging import POSITIONS, Cursor, Limit, Page, encode, has_more, number_position

router = APIRouter(tags=["audit"])

_TEXT: Final = 200


class AuditRecord(BaseModel):
    """Who did what, when, from where, and whether he was allowed to; names and versions, never values."""

    seq: int
    at: datetime
    caller: str
    key_id: str = Field(
        description="The API key that the caller's token was got with; empty if there was none."
    )
    action: str
    target: str
    outcome: str = Field(description="`allowed` or `denied`.")
    detail: dict[str, Any]
    client: str = Field(description="The address that it came from, behind the edge.")
    through_edge: bool
    request_id: str
    hash: str = Field(description="SHA-256 over this record and the hash of the one before, hex.")

    @classmethod
    def of(cls, record: Record) -> Self:
        """Show a record."""
        entry = record.entry._asdict()
        entry["at"] = datetime.fromtimestamp(record.entry.at, UTC)
        entry["detail"] = orjson.loads(record.entry.detail)
        return cls(seq=record.seq, hash=record.hash.hex(), **entry)


class AuditFinding(BaseModel):
    """What is wrong with the records from `first` to `last`."""

    kind: str = Field(description="edited, inserted, removed, reordered, truncated, anchor, head or rows.")
    first: int
    last: int
    detail: str


class Verification(BaseModel):
    """What verifying the audit found."""

    intact: bool
    records: int = Field(description="How many were gone over.")
    first: int
    last: int
    head: str = Field(description="The hash of the newest record, hex.")
    heads_checked: int = Field(description="Signed and remembered heads that were compared.")
    event_log: str = Field(
        description="`checked`, `empty` or `unreachable`: the newest anchor in the event log."
    )
    public_key: str = Field(description="What verifies the anchors' Ed25519 signatures, base64.")
    findings: list[AuditFinding]
    more: bool = Field(description="Whether there are more findings than are listed.")
    next: int | None = Field(
        description="Where to go on, as `after`, if `limit` ended it; what is `intact` so far says nothing "
        "of what comes. null: the end was reached."
    )


@router.get(
    "/audit", operation_id="listAuditRecords", summary="List audit records", responses=problem_responses(503)
)
async def list_audit_records(
    actor: AuditReader,
    core: TheCore,
    caller: Annotated[str | None, Query(max_length=_TEXT, description="By whom.")] = None,
    action: Annotated[
        str | None, Query(max_length=_TEXT, description="Which action, as `secrets:read`.")
    ] = None,
    target: Annotated[
        str | None,
        Query(max_length=_TEXT, description="On what, with all below it, as `secrets/notification`."),
    ] = None,
    outcome: Annotated[Literal["allowed", "denied"] | None, Query(description="How it ended.")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Not before this moment.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Before this moment.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[AuditRecord]:
    """List records, newest first. Reading the audit is itself recorded. Needs audit:read."""
    wanted = Filter(caller, action, target, outcome, _seconds(since), _seconds(until))
    before = number_position(cursor, POSITIONS)
    records = await core.audit_reading.page(wanted, before, limit + 1)
    await core.audit.append(caller=actor.who, action="audit:read", target="audit", request=actor.request)
    following = encode(records[limit - 1].seq) if has_more(records, limit) else None
    return Page(items=[AuditRecord.of(record) for record in records[:limit]], next=following)


@router.get(
    "/audit/verify",
    operation_id="verifyAuditChain",
    summary="Verify the audit",
    responses=problem_responses(429, 503),
)
async def verify_audit_chain(
    actor: AuditReader,
    core: TheCore,
    after: Annotated[int | None, Query(ge=0, le=POSITIONS, description="Begin behind this record.")] = None,
    limit: Annotated[
        int | None, Query(ge=1, le=POSITIONS, description="How many records at most; all if not given.")
    ] = None,
) -> Verification:
    """Go over the whole chain and its anchors, that in the event log too, and name what was changed.

    A long one in parts: `next` is the `after` of the next part. One at a time; 429 otherwise.
    """
    event_log, elsewhere = await _from_event_log(core)
    report = await core.verifying.verify(elsewhere, after=after, limit=limit)
    _with_doubts(report, core.anchoring.doubts)
    detail = {"intact": report.intact, "first": report.first, "records": report.records}
    await core.audit.append(
        caller=actor.who, action="audit:verify", target="audit", detail=detail, request=actor.request
    )
    return Verification(
        intact=report.intact,
        records=report.records,
        first=report.first,
        last=report.head.seq,
        head=report.head.hash.hex(),
        heads_checked=report.heads_checked,
        event_log=event_log,
        public_key=core.anchors.public_key,
        findings=[
            AuditFinding(kind=item.kind, first=item.first, last=item.last, detail=item.detail)
            for item in report.findings
        ],
        more=report.more,
        next=report.next,
    )


async def _from_event_log(core: Core) -> tuple[str, list[Remembered]]:
    content = await core.anchor_log.newest()
    if content is None:
        return "unreachable", []
    there = core.anchors.remembered(SOURCE, content)
    return ("empty", []) if there is None else ("checked", [there])


def _with_doubts(report: Report, doubts: Sequence[Doubt]) -> None:
    """Say at the end what contradicts the chain, where its rows do not say it: they may have been pruned."""
    if report.next is None and report.intact:
        report.findings.extend(Finding("anchor", one.seq, one.seq, str(one)) for one in doubts)


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
