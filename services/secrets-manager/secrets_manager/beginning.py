"""Beginning an epoch: what was out in the world before is not trusted to be the same.

New signing keys, no holders, and API keys disabled until an admin enables each again: among them may be one
that was revoked after this database was copied.
"""

from collections.abc import Mapping
from typing import Any

from fountain_common.db import Database
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from secrets_manager import repository_facts
from secrets_manager.audit import Audit, Who
from secrets_manager.epochs import BEGUN
from secrets_manager.epochs import DETAIL as EPOCH
from secrets_manager.keyring import Keyring
from secrets_manager.models_identity import ApiKeyRow
from secrets_manager.models_secrets import HolderRow, IdempotencyRow
from secrets_manager.models_trust import SigningKeyRow
from secrets_manager.repository_identities import IdentityRows
from secrets_manager.row_mac import RowMacs
from secrets_manager.row_state import DETAIL, RowState

_AT_THE_MACHINE = "operator-at-the-machine"


class Beginning:
    """Begins epochs in a database whose secrets manager does not run."""

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._audit = Audit(database, keyring.derive("audit"))
        self._rows = IdentityRows(RowMacs(keyring.derive("row-mac")))
        self._state = RowState(self._rows.macs, self._audit)

    async def begin(self) -> int:
        """Begin another epoch in a database that was put back; returns how many API keys are disabled now."""
        return await self._database.write(
            lambda session: self.in_session(session, _AT_THE_MACHINE, BEGUN, "platform", {})
        )

    def in_session(
        self, session: Session, caller: Who, action: str, target: str, detail: Mapping[str, Any]
    ) -> int:
        """Begin another epoch in this transaction, on record as this action; returns as `begin` does."""
        self._state.begin(session)
        for model in (SigningKeyRow, HolderRow, IdempotencyRow):
            session.execute(delete(model))
        epoch = repository_facts.new_epoch(session)
        keys = [
            key for key in session.scalars(select(ApiKeyRow)) if self._rows.genuine_key(key) and key.enabled
        ]
        for key in keys:
            key.enabled = False
            self._rows.sign_key(key)
        said = {**detail, EPOCH: epoch, "disabled_keys": len(keys), DETAIL: self._state.said(session)}
        self._audit.record(session, caller=caller, action=action, target=target, detail=said)
        return len(keys)
