"""Gives a Secrets Manager that does not run so many more secrets: `fill_secrets.py COUNT`, in its
environment.
"""

import asyncio
import sys
import time

from fountain_common.db import Database
from fountain_common.settings import load
from secrets_manager.generate import generate_for
from secrets_manager.kek_provider import key_encryption_key
from secrets_manager.keyring_store import load_keyring
from secrets_manager.models_secrets import SecretRow, SecretVersionRow
from secrets_manager.settings import Settings
from secrets_manager.values import first
from secrets_manager.vault import Vault
from sqlalchemy import insert
from sqlalchemy.orm import Session

_AT_ONCE = 5000


async def fill(count: int) -> None:
    """Store secrets named `grown-0` and so on, as the service itself seals them."""
    settings = load(Settings)
    database = Database(settings.effective_database_url)
    keyring = await load_keyring(database, key_encryption_key(settings))
    if keyring is None:
        raise SystemExit("The Secrets Manager has not been started yet.")
    vault, now = Vault(keyring), time.time()

    def store(session: Session, names: list[str]) -> None:
        made = first({}, (), generate_for)
        session.execute(
            insert(SecretRow),
            [
                {"service_name": name, "newest_version": 1, "created_at": now, "updated_at": now}
                for name in names
            ],
        )
        session.execute(
            insert(SecretVersionRow),
            [
                {
                    "service_name": name,
                    "version": 1,
                    "state": "active",
                    "sealed": vault.seal(name, 1, made),
                    "created_at": now,
                    "created_by": "bench",
                    "changed_at": now,
                }
                for name in names
            ],
        )

    for start in range(0, count, _AT_ONCE):
        names = [f"grown-{number}" for number in range(start, min(start + _AT_ONCE, count))]
        await database.write(lambda session, names=names: store(session, names))  # type: ignore[misc]
    await database.close()


if __name__ == "__main__":
    asyncio.run(fill(int(sys.argv[1])))
