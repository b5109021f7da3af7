"""Alembic's way in."""

from fountain_common.migrations import run
from two_factor.models import Base

run(Base.metadata)
