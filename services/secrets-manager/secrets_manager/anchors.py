"""Anchoring the audit.

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
from sqlalchemy import select
from sqlalchemy.orm import Session

from secrets_manager import key_files
from secrets_manager.anchor_standing import Remembered, Standing, standing
from secrets_manager.audit import TamperedAuditError
from secrets_manager.audit_chain import ChainKey, Head, anchor_message
from secrets_manager.audit_verify import KnownHead
from secrets_manager.epochs import current_epoch
from secrets_manager.models_audit import AuditAnchorRow, AuditHeadRow, AuditRow

FILE: Final = "audit-anchor.json"
BESIDE: Final = "the anchor file"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A signed head, and the epoch that it is of: empty in the database, which is of one epoch as a whole."""

    head: Head
    at: float
    signature: bytes
    epoch: str = ""

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        signature = b64encode(self.signature).decode()
        document = {"seq": self.head.seq, "hash": self.head.hash.hex(), "at": self.at, "signature": signature}
        return {**document, "epoch": self.epoch} if self.epoch else document

    @classmethod
    def read(cls, document: Any) -> "Anchor":
        """Undo `document`; ValueError if it is not one."""
        try:
            head = Head(int(document["seq"]), bytes.fromhex(document["hash"]))
            signature = b64decode(document["signature"], validate=True)
            return cls(head, float(document["at"]), signature, str(document.get("epoch", "")))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("not an anchor") from error


class Anchors:
    """Makes anchors and knows those that were made.

    Args:
        key: the audit's own, which signs nothing else.
        chain: tells which records were made here.
        folder: where the newest anchor is kept as a file, apart from the database.
    """

    def __init__(
        self,
        db: Database,
        key: Ed25519PrivateKey,
        chain: ChainKey,
        folder: Path,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._db, self._key, self._chain, self._clock = db, key, chain, clock
        self._path = folder / FILE
        self._shown = 0

    @property
    def public_key(self) -> str:
        """The key that verifies signatures, base64; to be kept by whoever keeps anchors."""
        return b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, head: Head, at: float, epoch: str = "") -> Anchor:
        """Make an anchor of a head."""
        return Anchor(head, at, self._key.sign(anchor_message(head, at, epoch)), epoch)

    def genuine(self, anchor: Anchor) -> bool:
        """Tell whether an anchor was made here."""
        message = anchor_message(anchor.head, anchor.at, anchor.epoch)
        try:
            self._key.public_key().verify(anchor.signature, message)
        except InvalidSignature:
            return False
        return True

    async def anchor(self) -> None:
        """Anchor the head in the database, on stdout, and in the file unless that one contradicts it.

        Where the head is anchored already, this is done again: a stop or a kill may have come in between.

        Raises:
            TamperedAuditError: the head was not written here.
        """

        def write(session: Session) -> tuple[Anchor, Standing] | None:
            head = session.execute(
                select(AuditHeadRow.seq, AuditHeadRow.hash, AuditHeadRow.mac)
            ).one_or_none()
            if head is None:
                return None
            anchored = Head(head.seq, head.hash)
            if head.mac != self._chain.head_mac(anchored):
                raise TamperedAuditError("the audit's head was altered")
            row = session.get(AuditAnchorRow, head.seq)
            if row is None:
                made = self.sign(anchored, round(self._clock(), 3))
                row = AuditAnchorRow(seq=head.seq, hash=head.hash, at=made.at, signature=made.signature)
                session.add(row)
            epoch = current_epoch(session, self._chain)
            return self.sign(anchored, row.at, epoch.name), self.standing(session, self.beside())

        made = await self._db.write(write)
        if made is None:
            return
        anchor, beside = made
        if anchor.head.seq != self._shown:
            get_logger().info("audit_anchored", **anchor.document(), public=self.public_key)
            if beside.doubt is None:
                key_files.write_public(self._path, orjson.dumps(anchor.document()).decode())
            self._shown = anchor.head.seq

    def newest(self, session: Session) -> Anchor | None:
        """Return the newest anchor in the database, as it is shown outside of it."""
        row = session.scalars(select(AuditAnchorRow).order_by(AuditAnchorRow.seq.desc()).limit(1)).first()
        if row is None or not self.genuine(_stored(row)):
            return None
        return self.sign(Head(row.seq, row.hash), row.at, current_epoch(session, self._chain).name)

    def known(self, session: Session, after: int, through: int | None) -> list[KnownHead]:
        """Return the anchors in the database of the records behind `after`; None: of all of them."""
        query = select(AuditAnchorRow).where(AuditAnchorRow.seq > after).order_by(AuditAnchorRow.seq)
        if through is not None:
            query = query.where(AuditAnchorRow.seq <= through)
        stored = map(_stored, session.scalars(query))
        return [KnownHead("an anchor", anchor.head, self.genuine(anchor)) for anchor in stored]

    def beside(self) -> Remembered | None:
        """Return the anchor in the file beside the database; None if there is none."""
        return self.remembered(BESIDE, key_files.read(self._path))

    def remembered(self, source: str, content: str | bytes) -> Remembered | None:
        """Read an anchor that was kept elsewhere, None if nothing was; not one of ours is not genuine."""
        if not content:
            return None
        try:
            anchor = Anchor.read(orjson.loads(content))
        except ValueError:
            return Remembered(KnownHead(source, Head(0, b""), genuine=False))
        known = KnownHead(source, anchor.head, self.genuine(anchor))
        return Remembered(known, anchor.epoch, anchor.at)

    def standing(self, session: Session, remembered: Remembered | None) -> Standing:
        """Say how an anchor that was kept elsewhere stands to the history in this database."""
        if remembered is None:
            return Standing()
        epoch = current_epoch(session, self._chain)
        head = session.scalar(select(AuditHeadRow.seq)) or 0
        known = remembered.known
        found = self._hash_at(session, known.head.seq) if known.genuine else None
        return standing(remembered, epoch, head, found)

    def _hash_at(self, session: Session, seq: int) -> bytes | None:
        """Return the hash of this record; of one that was pruned, as its own anchor remembers it."""
        found = session.scalar(select(AuditRow.hash).where(AuditRow.seq == seq))
        if found is not None:
            return found
        row = session.get(AuditAnchorRow, seq)
        return row.hash if row is not None and self.genuine(_stored(row)) else None


def _stored(row: AuditAnchorRow) -> Anchor:
    return Anchor(Head(row.seq, row.hash), row.at, row.signature)
