"""What the services have answered, so that later requests name things that there are."""

import re
from collections.abc import Mapping
from typing import Any

from wire import Answer

MAX_KEPT = 40
ASKING = "admin"
"""Is not named: once there is another administrator this one can be revoked, and has nothing more to ask."""
_NAMING = re.compile(r"(^|_)(id|name|token|version|position|generation|cursor|next|username)$|Id$|Name$")
_STANDING = (
    "secrets-manager",
    "notification",
    "gateway-lookup",
    "example-consumer",
    "1",
    "a" * 32,
)


class Known:
    """Names, ids and versions that a service has named; the newest, and a few that stand."""

    def __init__(self) -> None:
        self._seen: dict[str, None] = {}

    def learn(self, answer: Answer) -> None:
        """Take the names out of a JSON answer."""
        self._walk(answer.json())
        while len(self._seen) > MAX_KEPT:
            del self._seen[next(iter(self._seen))]

    def pick(self, luck: int) -> str:
        """Return one of them."""
        all_ = [*_STANDING, *self._seen]
        return all_[luck % len(all_)]

    def _walk(self, thing: Any) -> None:
        if isinstance(thing, list):
            for part in thing[:5]:
                self._walk(part)
        if isinstance(thing, Mapping):
            for key, value in thing.items():
                if _NAMING.search(key) and isinstance(value, str | int) and str(value) not in ("", ASKING):
                    self._seen[str(value)] = None
                self._walk(value)
