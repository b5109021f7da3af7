"""How long each holder still counts: a time to live that the holder's reads renew.

A row says that an instance holds a secret; how long it counts is kept here, in memory, so that a renewal
costs no write. Nothing is lost with it: after the service's own downtime every holder gets one full time to
live anyway, as nobody could renew meanwhile.

Renewals come from the event loop, removals from the writer's thread: both take the lock, so that a holder
is renewed either before it is removed, and stays, or after, and is made anew by the read that failed to
renew it.
"""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

TTL_SECONDS: Final = 90.0
MAX_OF_OWNER: Final = 5000
MAX_OF_GRANTEE: Final = 500
"""How many instances of one identity may hold a secret: each counts by itself, so that nobody takes the
places of the service whose secret it is."""
_MAX_DEPARTED: Final = 20_000


class HolderKey(NamedTuple):
    """One instance that holds one secret."""

    service_name: str
    identity: str
    instance_id: str


class Presence:
    """Which holders are alive, by monotonic time in seconds."""

    def __init__(self, ttl: float = TTL_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self.ttl = ttl
        self._clock = clock
        self._until: dict[HolderKey, float] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        self._of_secret: Counter[str] = Counter()
        self._departed: OrderedDict[HolderKey, None] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, keys: Iterable[HolderKey]) -> None:
        """Count these from now on, for one full time to live."""
        until = self._clock() + self.ttl
        with self._lock:
            for key in keys:
                self._enter(key, until)

    def unknown(self, keys: Iterable[HolderKey]) -> set[HolderKey]:
        """Return those of these that are not counted."""
        with self._lock:
            return {key for key in keys if key not in self._until}

    def renew(self, key: HolderKey) -> bool:
        """Give a holder another time to live; False if it is none (any more)."""
        with self._lock:
            if key not in self._until:
                return False
            self._until[key] = self._clock() + self.ttl
            return True

    def renew_all(self) -> None:
        """Give everybody another time to live: for when this process was not able to hear them."""
        with self._lock:
            self._until = dict.fromkeys(self._until, self._clock() + self.ttl)

    def expired(self) -> set[str]:
        """Return the secrets that have holders whose time is over."""
        now = self._clock()
        with self._lock:
            return {key.service_name for key, until in self._until.items() if until <= now}

    def take_expired(self, service_name: str) -> list[HolderKey]:
        """Stop counting the holders of a secret whose time is over, and return them."""
        now = self._clock()
        with self._lock:
            gone = [
                key for key, until in self._until.items() if key.service_name == service_name and until <= now
            ]
            self._forget(gone)
        return gone

    def remove(self, keys: Iterable[HolderKey]) -> None:
        """Stop counting these."""
        with self._lock:
            self._forget(keys)

    def of_identity(self, identity: str) -> list[HolderKey]:
        """Return what an identity's instances hold."""
        with self._lock:
            return [key for key in self._until if key.identity == identity]

    def was_here(self, key: HolderKey) -> bool:
        """Whether an instance held this secret before and then left; the latest 20,000 are remembered."""
        return key in self._departed

    def seconds_left(self, key: HolderKey) -> float | None:
        """Return how long a holder still counts; None if it is none."""
        until = self._until.get(key)
        return None if until is None else max(0.0, until - self._clock())

    def count(self, service_name: str) -> int:
        """Return how many hold a secret."""
        return self._of_secret[service_name]

    def is_full(self, service_name: str, identity: str) -> bool:
        """Whether an identity has as many instances that hold a secret as it may have."""
        most = MAX_OF_OWNER if identity == service_name else MAX_OF_GRANTEE
        return self._counts[service_name, identity] >= most

    def _enter(self, key: HolderKey, until: float) -> None:
        if key not in self._until:
            self._counts[key.service_name, key.identity] += 1
            self._of_secret[key.service_name] += 1
        self._until[key] = until

    def _forget(self, keys: Iterable[HolderKey]) -> None:
        for key in keys:
            if self._until.pop(key, None) is not None:
                self._counts[key.service_name, key.identity] -= 1
                self._of_secret[key.service_name] -= 1
                self._departed[key] = None
        while len(self._departed) > _MAX_DEPARTED:
            self._departed.popitem(last=False)
