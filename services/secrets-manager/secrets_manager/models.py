"""All tables, for migrations and for the tests that compare the two."""

from fountain_common.outbox import outbox_table

from secrets_manager import models_audit, models_identity, models_secrets, models_trust
from secrets_manager.models_base import Base

outbox = outbox_table(Base)

__all__ = ["Base", "models_audit", "models_identity", "models_secrets", "models_trust", "outbox"]
