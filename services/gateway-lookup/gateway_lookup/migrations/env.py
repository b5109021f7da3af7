"""Alembic's entry: see `fountain_common.migrations`."""

from fountain_common.migrations import run
from gateway_lookup.models import Base

run(Base.metadata)
