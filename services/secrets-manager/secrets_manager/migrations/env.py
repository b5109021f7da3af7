"""Alembic's way in: the migrations of this service."""

from fountain_common.migrations import run
from secrets_manager.models import Base

run(Base.metadata)
