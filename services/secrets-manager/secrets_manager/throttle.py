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

    Failures over the limit are reported together, as many as came, when one is next allowed or the address
    has been silent for so long, so that a flood of guesses does not become a flood of audit records.
    Addresses are forgotten, the longest silent first, above `capacity`; their failures are not.
    """

    def __init__(self, *, burst: int = 10, seconds_each: float = 6.0, capacity: int = 10_000) -> None:
        self._burst, self._seconds_each, self._capacity = burst, seconds_each, capacity
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._forgotten = 0

    def failed(self, address: str, now: float) -> Verdict:
        """Count a failure from this address at `now` (monotonic seconds)."""
        bucket = self._buckets.get(address)
        if bucket is None:
            bucket = self._buckets[address] = _Bucket(float(self._burst), now)
            if len(self._buckets) > self._capacity:
                self._forgotten += max(0, self._buckets.popitem(last=False)[1].unreported)
        self._buckets.move_to_end(address)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) / self._seconds_each)
        bucket.at = now
        bucket.unreported += 1
        if bucket.tokens < 1:
            return Verdict((1 - bucket.tokens) * self._seconds_each, 0)
        bucket.tokens -= 1
        report = max(0, bucket.unreported)
        bucket.unreported -= report
        return Verdict(0.0, report)

    def unreported(self, now: float, *, silent_seconds: float | None = None) -> list[tuple[str, int]]:
        """Return how many failures of each address no report stands for, of those that are silent.

        Args:
            now: monotonic seconds.
            silent_seconds: for how long; None is until one would be allowed again.

        Those of addresses that are forgotten are "" together.
        """
        silent = self._seconds_each if silent_seconds is None else silent_seconds
        found = [("", self._forgotten)] if self._forgotten else []
        for address, bucket in self._buckets.items():
            if now - bucket.at < silent:
                break  # Those behind have been heard of since.
            if bucket.unreported > 0:
                found.append((address, bucket.unreported))
        return found

    def reported(self, address: str, failures: int) -> None:
        """Note that a report stands for these."""
        if not address:
            self._forgotten -= failures
        elif (bucket := self._buckets.get(address)) is not None:
            # Below nothing if they were told otherwise meanwhile: then so many fewer are to be told.
            bucket.unreported -= failures
        # Else it was forgotten meanwhile, and these with it: they are told twice rather than never.
