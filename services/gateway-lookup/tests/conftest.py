"""A gateway, its client, and callers of it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from calling import As, Caller, Gateways
from fountain_common.testing import ServiceClient


@pytest.fixture
def gateways(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Gateways]:
    with ExitStack() as stack:
        yield Gateways(stack, monkeypatch, tmp_path)


@pytest.fixture
def client(gateways: Gateways) -> ServiceClient:
    return gateways.start()


@pytest.fixture
def as_(client: ServiceClient) -> As:
    def caller(subject: str, *roles: str) -> Caller:
        return Caller(client, subject, roles or ("service",))

    return caller
