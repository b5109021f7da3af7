"""A caller who may nothing, by whom a check sees that permissions are asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from fountain_cli.api import ISSUER, Api
from fountain_cli.exits import FAILED, CommandError

#: Names are never free again, so that every check uses the same.
NAME = "conformance-powerless"
_LONGEST = timedelta(hours=1)


@contextmanager
def powerless(api: Api) -> Iterator[Api]:
    """Give a key to an identity without any role, as long as the check takes. The identity stays.

    Raises:
        CommandError: the identity has a role, or is revoked.
    """
    identity = _identity(api)
    now = datetime.now(UTC)
    for key in identity["keys"]:
        # One that was killed has not taken its key back.
        ends = key["expires_at"]
        if key["revoked_at"] is None and ends and datetime.fromisoformat(ends) < now:
            _revoke(api, key["key_id"])
    new = {"description": "One check", "expires_at": (now + _LONGEST).isoformat()}
    key = api.call(ISSUER, "POST", f"/identities/{NAME}/keys", json=new)
    try:
        yield Api(key["api_key"], api.client)
    finally:
        _revoke(api, key["key_id"])


def _identity(api: Api) -> dict[str, Any]:
    if api.request(ISSUER, "GET", f"/identities/{NAME}").status_code == httpx2.codes.NOT_FOUND:
        new = {"name": NAME, "roles": [], "description": "A caller who may nothing, of fountain check."}
        api.call(ISSUER, "POST", "/identities", json=new)
    found: dict[str, Any] = api.get(ISSUER, f"/identities/{NAME}")
    if found["roles"] or found["revoked_at"]:
        why = "is revoked" if found["revoked_at"] else f"has the roles {', '.join(found['roles'])}"
        raise CommandError(f"The check needs {NAME} as an identity that may nothing, and it {why}.", FAILED)
    return found


def _revoke(api: Api, key_id: str) -> None:
    api.call(ISSUER, "DELETE", f"/identities/{NAME}/keys/{key_id}")
