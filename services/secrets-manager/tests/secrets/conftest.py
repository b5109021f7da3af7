"""What the tests about secrets share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from secrets_world import World, world


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def sm(tmp_path: Path) -> AsyncIterator[World]:
    """The secrets half, with the secret of one service."""
    async with world(tmp_path) as made:
        await made.create()
        yield made
