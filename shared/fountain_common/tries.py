"""How fast one address may try keys. Pure: time is passed in."""

import ipaddress
from collections import OrderedDict

BURST = 20
SECONDS_EACH = 0.2
MAX_REMEMBERED = 10_000


def network_of(address: str) -> str:
    """Return what counts as one address: of IPv6 the first 64 bits: one machine has all the rest."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)


class Tries:
    """Counts wrong keys by address: after some at once the next one has to wait, and one after a while more.

    It slows down and refuses nobody: a right key among wrong ones comes through.
    """

    def __init__(self) -> None:
        self._until: OrderedDict[str, float] = OrderedDict()

    def failed(self, address: str, now: float) -> None:
        """Count a wrong key at `now` (monotonic seconds)."""
        self._until[address] = max(now, self._until.get(address, now)) + SECONDS_EACH
        self._until.move_to_end(address)
        while len(self._until) > MAX_REMEMBERED:
            self._until.popitem(last=False)

    def pause(self, address: str, now: float) -> float:
        """Return the seconds until this address may try again; 0.0 if it may now."""
        return max(0.0, self._until.get(address, now) - now - (BURST - 1) * SECONDS_EACH)
