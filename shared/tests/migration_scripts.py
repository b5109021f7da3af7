"""Folders of migrations, written for a test."""

from pathlib import Path

ENV = """
from fountain_common.db import new_metadata
from fountain_common.migrations import run
run(new_metadata())
"""
HEADER = """
import sqlalchemy as sa
from alembic import op
revision = {revision}
down_revision = {before}
"""


def write(folder: Path, *bodies: str) -> Path:
    """Write migrations 0001, 0002 ..., whose upgrades have these bodies."""
    (folder / "versions").mkdir(parents=True, exist_ok=True)
    (folder / "env.py").write_text(ENV)
    for number, body in enumerate(bodies, 1):
        before = f'"{number - 1:04}"' if number > 1 else "None"
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        header = HEADER.format(revision=f'"{number:04}"', before=before)
        (folder / "versions" / f"{number:04}.py").write_text(f"{header}\n\ndef upgrade():\n{lines}\n")
    return folder


def table(name: str) -> str:
    return f'op.create_table("{name}", sa.Column("id", sa.Integer, primary_key=True))'
