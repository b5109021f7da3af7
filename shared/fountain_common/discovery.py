"""Where are the others? Asked at the gateway, held here, and answered from memory."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from fountain_common.directory import GATEWAY, Directory, GatewayDirectory, Instance, Lookup
from fountain_common.errors import NotFound, Problem, Unavailable
from fountain_common.logging import get_logger

__all__ = ["GATEWAY", "Directory", "Discovery", "GatewayDirectory", "Instance", "Lookup"]

FRESH_SECONDS = 10.0
FAILED_SECONDS = 5.0
ASK_AGAIN_SECONDS = 0.5
FIRST_PAUSE_SECONDS, PATIENCE_SECONDS = 0.05, 5.0
"""A gateway that has just gone is probably being started again."""
MAX_ADDRESSES = 4096


class _Entry:
    __slots__ = ("again", "asked_at", "fresh_until", "lookup", "turn", "usable")

    def __init__(self, lookup: Lookup) -> None:
        self.take(lookup)
        # Not everybody begins with the same instance.
        self.turn = random.randrange(1000)  # noqa: S311 - spreads load
        self.fresh_until = self.asked_at = float("-inf")
        self.again = False

    def take(self, lookup: Lookup) -> None:
        self.lookup = lookup
        up = [one.url for one in lookup.instances if one.status == "up"]
        self.usable = up or [one.url for one in lookup.instances if one.status == "draining"]


class Discovery:
    """Holds what the directory said, and answers from that.

    An answer is ten seconds fresh; after that it is still given, while it is asked for again behind the
    caller's back: a service that was found once stays found through an outage of the gateway. Instances take
    turns; one that failed is passed over for five seconds as long as there is another, or until its address
    is another's. One that was never found is asked for until the gateway, once it has answered at all, has
    been away for `patience` seconds.

    Args:
        directory: who is asked.
        fixed: addresses that are settings, by name.
        monotonic: seconds.
        patience: seconds.
    """

    def __init__(
        self,
        directory: Directory,
        fixed: Mapping[str, str] | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._directory, self._monotonic, self._patience = directory, monotonic, patience
        self._fixed = {name: url.rstrip("/") for name, url in (fixed or {}).items()}
        self._entries: dict[str, _Entry] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._failed: dict[str, float] = {}
        self._at: dict[str, str] = {}
        self._away_since = float("-inf")
        self._met = False
        self.healthy = True

    def __repr__(self) -> str:
        return f"<Discovery of {', '.join(sorted(self._entries)) or 'nobody yet'}>"

    async def resolve(self, name: str) -> str:
        """Return the base URL of an instance to send the next request to; from memory once it was found.

        Raises:
            NotFound: there is no such service; says which names are near.
            Unavailable: no instance is up, or the gateway does not answer and never did for this name.
        """
        entry = self._entries.get(name)
        if entry is None:
            if name in self._fixed:
                return self._fixed[name]
            await self._ask(name)
            entry = self._entries[name]
        elif self._monotonic() >= entry.fresh_until:
            self._ask_in_background(name, entry)
        url = self._choose(entry)
        if url is None:
            # Everything known has failed or gone; perhaps there is something new.
            await self._ask(name)
            url = self._choose(self._entries[name], at_all=True)
        if url is None:
            raise Unavailable(f"No instance of {name} is up.")
        return url

    async def instances(self, name: str) -> tuple[Instance, ...]:
        """Return all instances of a service, as last heard; see `resolve`."""
        if name in self._fixed:
            return (Instance("", self._fixed[name]),)
        await self.resolve(name)
        return self._entries[name].lookup.instances

    def known(self, name: str) -> int:
        """Return how many instances of a service are worth a try, as last heard."""
        entry = self._entries.get(name)
        return 0 if entry is None else len(entry.usable)

    def failed(self, url: str) -> None:
        """Remember an instance that did not answer, and ask whether it is still there."""
        self._failed[url] = self._monotonic() + FAILED_SECONDS
        for name, entry in self._entries.items():
            if any(instance.url == url for instance in entry.lookup.instances):
                self._ask_in_background(name, entry)

    def answered(self, url: str) -> None:
        """Forget that an instance has failed."""
        self._failed.pop(url, None)

    def stale(self, name: str | None = None) -> None:
        """Ask again for a service, or for all that are held: an event says that something has changed."""
        for held, entry in self._entries.items():
            if name is None or held == name:
                entry.fresh_until = entry.asked_at = float("-inf")
                # What is being asked at this moment may have been answered before the change.
                entry.again = self._under_way(held) is not None
                self._ask_in_background(held, entry)

    def who(self, url: str) -> tuple[str, str]:
        """Return an address and who was last heard to be there: what one did is not the next one's doing."""
        return url, self._at.get(url, "")

    def _meet(self, instances: Iterable[Instance]) -> None:
        for one in instances:
            if self._at.get(one.url) != one.instance_id:
                self._at[one.url] = one.instance_id
                self._failed.pop(one.url, None)
        while len(self._at) > MAX_ADDRESSES:
            del self._at[next(iter(self._at))]

    def _choose(self, entry: _Entry, *, at_all: bool = False) -> str | None:
        well = entry.usable
        if self._failed:
            now = self._monotonic()
            self._failed = {url: until for url, until in self._failed.items() if until > now}
            well = [url for url in well if url not in self._failed]
        if not well and at_all:
            well = entry.usable or [one.url for one in entry.lookup.instances]
        if not well:
            return None
        entry.turn += 1
        return well[entry.turn % len(well)]

    def _ask_in_background(self, name: str, entry: _Entry) -> None:
        now = self._monotonic()
        if self._under_way(name) or now - entry.asked_at < ASK_AGAIN_SECONDS:
            return
        entry.asked_at = now
        task = self._begin(name)
        task.add_done_callback(_retrieve)

    async def _ask(self, name: str) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            task = self._under_way(name) or self._begin(name)
            try:
                await asyncio.shield(task)
                return
            except Problem as error:
                if name in self._entries:
                    return
                away = asyncio.get_running_loop().time() - self._away_since
                if isinstance(error, NotFound) or away >= self._patience:
                    raise
            await asyncio.sleep(pause * (0.5 + 0.5 * random.random()))  # noqa: S311 - spreads load
            pause = min(ASK_AGAIN_SECONDS, pause * 2)

    def _under_way(self, name: str) -> asyncio.Task[None] | None:
        task = self._asking.get(name)
        # What ended before the question is no answer to it, though it is not cleared away yet.
        return None if task is None or task.done() else task

    def _begin(self, name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(self._fetch(name))
        self._asking[name] = task
        task.add_done_callback(partial(self._asked, name))
        return task

    def _asked(self, name: str, task: asyncio.Task[None]) -> None:
        if self._asking.get(name) is task:
            del self._asking[name]

    async def _fetch(self, name: str) -> None:
        entry = self._entries.get(name)
        try:
            found = await self._directory.lookup(name, entry.lookup.etag if entry else None)
        except NotFound:
            self.healthy = self._met = True
            self._entries.pop(name, None)
            raise
        except Problem as error:
            if self.healthy:
                get_logger().warning("lookup_failed", looked_up=name, reason=error.detail)
                if self._met:
                    self._away_since = asyncio.get_running_loop().time()
            self.healthy = False
            if entry is not None:
                entry.fresh_until = self._monotonic() + 1.0
            raise
        self.healthy = self._met = True
        if found is not None:
            if entry is None:
                entry = self._entries[name] = _Entry(found)
            entry.take(found)
            self._meet(found.instances)
        if entry is not None and entry.again:
            entry.again = False
            await self._fetch(name)
        elif entry is not None:
            entry.fresh_until = self._monotonic() + FRESH_SECONDS

    async def stop(self) -> None:
        """End what is being asked in the background."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _retrieve(task: asyncio.Task[None]) -> None:
    # Asked on nobody's behalf: what went wrong is in the log already.
    if not task.cancelled():
        task.exception()
