"""A circuit breaker: who keeps failing is left alone for a while (pure; time is passed in)."""

from dataclasses import dataclass

FAILURES = 5
FIRST_REST_SECONDS = 0.5
LONGEST_REST_SECONDS = 15.0


@dataclass
class Breaker:
    """One peer's standing.

    After five failures in a row nothing is sent for half a second; then one request may try, and each time
    that it fails too the rest doubles, up to 15 seconds. What was sent before the circuit opened and fails
    after that says nothing new. One success closes the circuit.
    """

    failures: int = 0
    open_until: float = 0.0
    rest: float = FIRST_REST_SECONDS
    tried: bool = False

    def allows(self, now: float) -> bool:
        """Tell whether a request may be sent; if the circuit was open, the one that asks is the trial."""
        if self.failures < FAILURES:
            return True
        if now < self.open_until:
            return False
        self.open_until, self.tried = now + self.rest, True
        return True

    def succeeded(self) -> None:
        """Note an answer."""
        self.failures, self.open_until, self.rest, self.tried = 0, 0.0, FIRST_REST_SECONDS, False

    def failed(self, now: float) -> None:
        """Note that there was none."""
        self.failures += 1
        if self.failures == FAILURES:
            self.open_until = now + self.rest
        elif self.failures > FAILURES and self.tried:
            self.rest = min(LONGEST_REST_SECONDS, self.rest * 2)
            self.open_until, self.tried = now + self.rest, False
