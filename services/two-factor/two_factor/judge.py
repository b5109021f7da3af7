"""Whether a code is right, and what follows from that: it is used up, or counted towards a lock."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto

from fountain_common import SealBroken, Sealer, TooManyRequests, enqueue, get_logger
from sqlalchemy.orm import Session

from two_factor import codes, repository, totp
from two_factor.lockout import Lockout
from two_factor.models import OneTimeCode


class Verdict(Enum):
    """What became of a code. `LOST`: it is wrong as far as can be told, since the seed does not open."""

    RIGHT = auto()
    WRONG = auto()
    LOST = auto()


@dataclass(frozen=True)
class Judge:
    """Judges codes inside a transaction that is under way. `clock` answers seconds since the epoch."""

    sealer: Sealer
    clock: Callable[[], float]

    def now(self) -> datetime:
        """The time, aware."""
        return datetime.fromtimestamp(self.clock(), UTC)

    def judged(self, session: Session, username: str, otp_code: str, *, sent_too: bool) -> Verdict:
        """Look at a code, use it up if it is right, and count it if it is wrong.

        It answers and does not raise: what was counted is kept. Without `sent_too`, a code that went out as
        an event is as wrong as any other, and is not used up.
        """
        self.refuse_locked(session, username)
        code = codes.typed(otp_code)
        verdict = self._of_authenticator(session, username, code)
        if sent_too and verdict is not Verdict.RIGHT and self._is_one_time(session, username, code):
            verdict = Verdict.RIGHT
        if verdict is Verdict.RIGHT:
            repository.keep_lockout(session, username, Lockout())
        else:
            self.count_failure(session, username)
        return verdict

    def _of_authenticator(self, session: Session, username: str, code: str) -> Verdict:
        row = repository.factor(session, username)
        if row is None or row.seed is None:
            return Verdict.WRONG
        if codes.is_recovery_code(code):
            hashed = codes.hashed(username, code)
            used = repository.use_recovery_code(session, username, hashed, self.now())
            return Verdict.RIGHT if used else Verdict.WRONG
        seed = self.opened(username, row.seed)
        if seed is None:
            return Verdict.LOST
        step = totp.matching_step(seed, code, self.clock(), after=row.last_step)
        if step is None:
            return Verdict.WRONG
        row.last_step = step
        return Verdict.RIGHT

    def opened(self, username: str, sealed: bytes) -> bytes | None:
        """The seed; None if no key that is held opens it."""
        try:
            return self.sealer.open(repository.seed_context(username), sealed)
        except SealBroken:
            get_logger().error("sealed_row_does_not_open", place="factors")
            return None

    def _is_one_time(self, session: Session, username: str, code: str) -> bool:
        row = session.get(OneTimeCode, username)
        if row is None:
            return False
        try:
            kept = self.sealer.open(repository.code_context(username), row.code)
        except SealBroken:
            return False
        right = codes.same(kept, code.encode()) and self.now() < row.expires_at
        if right or self.now() >= row.expires_at:
            session.delete(row)
        return right

    def refuse_locked(self, session: Session, username: str) -> None:
        """Raise `TooManyRequests` while the name is locked."""
        seconds = repository.lockout(session, username).remaining(self.clock())
        if seconds > 0:
            raise TooManyRequests(
                "Too many wrong codes for this name. Try again later.",
                headers={"Retry-After": str(int(seconds) + 1)},
            )

    def count_failure(self, session: Session, username: str) -> None:
        """Remember a wrong code; the event `factor.locked` tells when that locks the name."""
        after = repository.lockout(session, username).after_failure(self.clock())
        repository.keep_lockout(session, username, after)
        if after.remaining(self.clock()) > 0:
            enqueue(session, "factor.locked", username, {"username": username, "failures": after.failures})
