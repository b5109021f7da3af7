"""Who this service is."""

import asyncio
import copy
import pickle
from pathlib import Path

import pytest
from fountain_common.errors import Unauthenticated
from fountain_common.identity import ApiKeyTokenSource, Identity
from fountain_common.settings import ServiceSettings
from fountain_common.testing import FakeClock

KEY = "fnt_0123456789ab_" + "s" * 43


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "identity"


@pytest.fixture
def identity(folder: Path, tmp_path: Path) -> Identity:
    settings = ServiceSettings(_env_file=None, service_name="orders", identity_dir=folder)
    return Identity(settings, secrets_dir=tmp_path / "run-secrets")


class Issuer:
    def __init__(self, *honoured: str) -> None:
        self.honoured = set(honoured)
        self.issued = 0

    async def issue(self, api_key: str, audience: str | None) -> tuple[str, float]:
        await asyncio.sleep(0)
        if api_key not in self.honoured:
            raise Unauthenticated("not honoured")
        self.issued += 1
        return f"{audience}-{self.issued}", 900.0


async def test_a_key_that_is_not_there_yet_is_waited_for(identity: Identity, folder: Path) -> None:
    waiting = asyncio.create_task(identity.api_key())
    await asyncio.sleep(0)
    assert identity.missing.endswith("api-key")
    folder.mkdir()
    (folder / "api-key").write_text("")
    (folder / "api-key").write_text(KEY + "\n")
    async with asyncio.timeout(3):
        assert await waiting == KEY


async def test_a_docker_secret_serves_instead_of_the_folder(identity: Identity, tmp_path: Path) -> None:
    (tmp_path / "run-secrets").mkdir()
    (tmp_path / "run-secrets" / "fountain_api_key").write_text(KEY)
    assert await identity.api_key() == KEY


async def test_a_replaced_key_is_noticed_when_the_old_one_is_refused(
    identity: Identity, folder: Path
) -> None:
    folder.mkdir()
    (folder / "api-key").write_text(KEY)
    newer = KEY[:-1] + "t"
    issuer = Issuer(KEY)
    tokens = ApiKeyTokenSource(identity, issuer)
    assert await tokens.token("stories")
    issuer.honoured = {newer}
    tokens.forget("stories")
    with pytest.raises(Unauthenticated):
        await tokens.token("stories")
    (folder / "api-key").write_text(newer)
    assert await tokens.token("stories")


async def test_many_who_want_a_token_make_one_request(identity: Identity) -> None:
    identity.give(KEY)
    issuer = Issuer(KEY)
    tokens = ApiKeyTokenSource(identity, issuer)
    assert set(await asyncio.gather(*(tokens.token("stories") for _ in range(30)))) == {"stories-1"}
    assert await tokens.token("orders") == "orders-2"


async def test_a_token_is_replaced_before_it_ends(identity: Identity) -> None:
    identity.give(KEY)
    clock = FakeClock()
    tokens = ApiKeyTokenSource(identity, Issuer(KEY), monotonic=clock)
    assert await tokens.token() == "None-1"
    clock.advance(839)
    assert await tokens.token() == "None-1"
    clock.advance(2)
    assert await tokens.token() == "None-2"


async def test_the_key_is_not_printed_and_not_pickled(identity: Identity) -> None:
    identity.give(KEY)
    assert "ssss" not in repr(identity) + str(identity) + repr(ApiKeyTokenSource(identity, Issuer()))
    for copied in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            copied(identity)
