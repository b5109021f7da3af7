"""Alembic's way in."""

from action.models import Base
from fountain_common.migrations import run

run(Base.metadata)
