"""Anchoring the audit (design, section 5).

Its head, signed, is put where whoever changes the database does not reach: on stdout, in the event log, and
in a file beside the database. A row that is missing here is remembered there.
"""

import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fountain_common.db import Database
from fountain_common.logging import get_logger
from fountain_common.outbox import enqueue
from sqlalchemy import select
from sqlalchemy.orm import Session

from secrets_manager import key_files
from secrets_manager.audit_chain import Head, anchor_message
from secrets_manager.audit_verify import KnownHead
from secrets_manager.models_audit import AuditAnchorRow, AuditHeadRow

EVENT: Final = "audit.anchored"
FILE: Final = "audit-anchor.json"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A signed head."""

    head: Head
    at: float
    signature: bytes

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        signature = b64encode(self.signature).decode()
        return {"seq": self.head.seq, "hash": self.head.hash.hex(), "at": self.at, "signature": signature}

    @classmethod
    def read(cls, document: Any) -> "Anchor":
        """Undo `document`; ValueError if it is not one."""
        try:
            head = Head(int(document["seq"]), bytes.fromhex(document["hash"]))
            return cls(head, float(document["at"]), b64decode(document["signature"], validate=True))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("not an anchor") from error


class Anchors:
    """Makes anchors and knows those that were made.

    Args:
        key: the audit's own, which signs nothing else.
        folder: where the newest anchor is kept as a file, apart from the database.
    """

    def __init__(
        self, db: Database, key: Ed25519PrivateKey, folder: Path, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._db, self._key, self._path, self._clock = db, key, folder / FILE, clock
        self._shown = 0

    @property
    def public_key(self) -> str:
        """The key that verifies signatures, base64; to be kept by whoever keeps anchors."""
        return b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, head: Head, at: float) -> Anchor:
        """Make an anchor of a head."""
        return Anchor(head, at, self._key.sign(anchor_message(head, at)))

    def genuine(self, anchor: Anchor) -> bool:
        """Tell whether an anchor was made here."""
        try:
            self._key.public_key().verify(anchor.signature, anchor_message(anchor.head, anchor.at))
        except InvalidSignature:
            return False
        return True

    async def anchor(self) -> None:
        """Anchor the head, unless it is anchored already."""

        def write(session: Session) -> Anchor | None:
            head = session.execute(select(AuditHeadRow.seq, AuditHeadRow.hash)).one_or_none()
            if head is None:
                return None
            row = session.get(AuditAnchorRow, head.seq)
            if row is not None:
                # A stop or a kill may have come between its commit and what follows below.
                return _stored(row)
            made = self.sign(Head(head.seq, head.hash), round(self._clock(), 3))
            session.add(AuditAnchorRow(seq=head.seq, hash=head.hash, at=made.at, signature=made.signature))
            enqueue(session, EVENT, None, made.document())
            return made

        made = await self._db.write(write)
        if made is not None and made.head.seq != self._shown:
            get_logger().info("audit_anchored", **made.document(), public=self.public_key)
            key_files.write_public(self._path, orjson.dumps(made.document()).decode())
            self._shown = made.head.seq

    def known(self, session: Session, after: int, through: int | None) -> list[KnownHead]:
        """Return the anchors in the database of the records behind `after`; None: of all of them."""
        query = select(AuditAnchorRow).where(AuditAnchorRow.seq > after).order_by(AuditAnchorRow.seq)
        if through is not None:
            query = query.where(AuditAnchorRow.seq <= through)
        stored = map(_stored, session.scalars(query))
        return [KnownHead("an anchor", anchor.head, self.genuine(anchor)) for anchor in stored]

    def beside(self) -> list[KnownHead]:
        """Return the anchor in the file beside the database."""
        content = key_files.read(self._path)
        return self.remembered("the anchor file", content) if content else []

    def remembered(self, source: str, content: str | bytes) -> list[KnownHead]:
        """Read an anchor that was kept elsewhere; what is not an anchor of ours counts as not genuine."""
        try:
            anchor = Anchor.read(orjson.loads(content))
        except ValueError:
            return [KnownHead(source, Head(0, b""), genuine=False)]
        return [KnownHead(source, anchor.head, self.genuine(anchor))]


def _stored(row: AuditAnchorRow) -> Anchor:
    return Anchor(Head(row.seq, row.hash), row.at, row.signature)
