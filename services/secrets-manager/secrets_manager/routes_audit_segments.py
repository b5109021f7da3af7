"""Segments of the audit: closed, exported, pruned."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Self

import orjson
from fastapi import APIRouter, Path
from fastapi.responses import StreamingResponse
from fountain_common.errors import Conflict, problem_responses
from fountain_common.schemas import StrictModel
from pydantic import BaseModel, Field

from secrets_manager.audit_segments import line_of
from secrets_manager.deps import AuditReader, AuditWriter, TheCore
from secrets_manager.models_audit import AuditSegmentRow
from secrets_manager.paging import NUMBERS, POSITIONS, Cursor, Limit, Page, encode, has_more, number_position

router = APIRouter(tags=["audit"])

"""What a column of whole numbers holds."""

Number = Annotated[int, Path(ge=1, le=NUMBERS, description="The segment's number.")]


class SealRequest(StrictModel):
    """How far to seal."""

    through: int | None = Field(
        default=None, ge=1, le=POSITIONS, description="The last record's position; null for all."
    )


class Segment(BaseModel):
    """A closed part of the audit."""

    number: int
    first: int
    last: int
    hash: str = Field(description="The hash of its last record, hex.")
    sealed_at: datetime
    exported_at: datetime | None
    pruned_at: datetime | None

    @classmethod
    def of(cls, row: AuditSegmentRow) -> Self:
        """Show a row."""
        moments = {name: getattr(row, name) for name in ("sealed_at", "exported_at", "pruned_at")}
        shown = {
            name: None if value is None else datetime.fromtimestamp(value, UTC)
            for name, value in moments.items()
        }
        return cls(number=row.number, first=row.first, last=row.last, hash=row.hash.hex(), **shown)


@router.get("/audit/segments", operation_id="listAuditSegments", summary="List segments of the audit")
async def list_audit_segments(
    actor: AuditReader, core: TheCore, limit: Limit = 50, cursor: Cursor = None
) -> Page[Segment]:
    """List segments in order, those whose records were pruned included. Needs audit:read."""
    rows = await core.segments.page(number_position(cursor) or 0, limit + 1)
    await core.audit.append(
        caller=actor.who, action="audit:read", target="audit/segments", request=actor.request
    )
    following = encode(rows[limit - 1].number) if has_more(rows, limit) else None
    return Page(items=[Segment.of(row) for row in rows[:limit]], next=following)


@router.post(
    "/audit/segments",
    operation_id="sealAuditSegment",
    summary="Seal a segment of the audit",
    status_code=201,
    responses=problem_responses(409, 429, 503),
)
async def seal_audit_segment(actor: AuditWriter, core: TheCore, body: SealRequest | None = None) -> Segment:
    """Verify and close what was written since the last segment.

    409 if it is not intact; 429 while the audit is being verified. Needs audit:write.
    """
    report = await core.verifying.verify(after=await core.segments.sealed_through())
    if not report.intact:
        raise Conflict(
            "The audit is not intact, so it cannot be sealed. GET /audit/verify says what is wrong."
        )
    return Segment.of(await core.segments.seal(body.through if body else None, actor))


@router.get(
    "/audit/segments/{number}",
    operation_id="exportAuditSegment",
    summary="Export a segment of the audit",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
            "description": "JSON lines",
        },
        **problem_responses(404, 409, 503),
    },
)
async def export_audit_segment(number: Number, actor: AuditWriter, core: TheCore) -> StreamingResponse:
    """Stream a segment as JSON lines: what it is and its signature, then its records. Needs audit:write."""
    row = await core.segments.get(number)
    # Whoever breaks off has read as much as he took: that he began is on record before the first line.
    await core.segments.exporting(row, actor)

    async def lines() -> AsyncIterator[bytes]:
        yield orjson.dumps(core.segments.header(row), option=orjson.OPT_APPEND_NEWLINE)
        async for record in core.audit_reading.range(row.first, row.last):
            yield line_of(record)
        await core.segments.exported(number, actor)

    disposition = f'attachment; filename="audit-{row.first}-{row.last}.ndjson"'
    return StreamingResponse(
        lines(), media_type="application/x-ndjson", headers={"Content-Disposition": disposition}
    )


@router.delete(
    "/audit/segments/{number}",
    operation_id="pruneAuditSegment",
    summary="Prune a segment of the audit",
    responses=problem_responses(404, 409, 503),
)
async def prune_audit_segment(number: Number, actor: AuditWriter, core: TheCore) -> Segment:
    """Delete the records of an exported segment, the oldest first; the chain begins behind it then.

    Needs audit:write.
    """
    return Segment.of(await core.segments.prune(number, actor))
