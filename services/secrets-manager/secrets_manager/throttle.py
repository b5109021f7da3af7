"""How many wrong credentials one address may try. Pure: time is passed in.

Only failures are counted and only failures are refused: a right credential is never asked about, so that
nobody can lock anybody out by failing, from the same address or another.
"""

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float
    unreported: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a failure.

    Attributes:
        retry_after: seconds to wait before the next try; 0 means that it was within the limit.
        report: how many failures one audit record shall stand for; 0 means none now.
    """

    retry_after: float
    report: int


class FailureThrottle:
    """A token bucket an address: `burst` failures at once, then one every `seconds_each`.

    Failures over the limit are reported together, as many as came, when one is next allowed, so that a flood
    of guesses does not become a flood of audit records. Addresses are forgotten, the longest silent first,
    above `capacity`.
    """

    def __init__(self, *, burst: int = 10, seconds_each: float = 6.0, capacity: int = 10_000) -> None:
        self._burst, self._seconds_each, self._capacity = burst, seconds_each, capacity
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def failed(self, address: str, now: float) -> Verdict:
        """Count a failure from this address at `now` (monotonic seconds)."""
        bucket = self._buckets.get(address)
        if bucket is None:
            bucket = self._buckets[address] = _Bucket(float(self._burst), now)
            if len(self._buckets) > self._capacity:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(address)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) / self._seconds_each)
        bucket.at = now
        bucket.unreported += 1
        if bucket.tokens < 1:
            return Verdict((1 - bucket.tokens) * self._seconds_each, 0)
        bucket.tokens -= 1
        report, bucket.unreported = bucket.unreported, 0
        return Verdict(0.0, report)
