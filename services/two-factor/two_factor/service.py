"""What the service does. Each step is one transaction, so that of two uses of a code exactly one succeeds."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from fountain_common.db import Database
from fountain_common.errors import Conflict, Forbidden, NotFound, TooManyRequests, Unprocessable
from fountain_common.logging import get_logger
from fountain_common.outbox import enqueue
from fountain_common.sealing import SealBroken, Sealer
from sqlalchemy.orm import Session

from two_factor import codes, qr, repository, totp
from two_factor.lockout import Lockout
from two_factor.models import Factor, OneTimeCode
from two_factor.schemas import ConfirmedFactor, EnrolledFactor, FactorStatus

_PAGE = 200


@dataclass(frozen=True)
class Factors:
    """Second factors of people. `clock` answers the time in seconds since the epoch."""

    db: Database
    sealer: Sealer
    issuer: str
    clock: Callable[[], float]

    async def enrol(self, username: str, otp_code: str | None, *, by_admin: bool) -> EnrolledFactor:
        """Make a seed that waits for its confirmation; a factor in use goes on until then.

        Raises:
            Forbidden: a factor is in use, and neither its current code was given nor does an admin ask.
        """
        seed = totp.new_seed()

        def change(session: Session) -> bool:
            row = repository.factor(session, username)
            if row is None:
                row = Factor(username=username, created_at=self._now(), last_step=-1)
                session.add(row)
            elif row.seed is not None and not by_admin and not self._right(session, username, otp_code):
                return False
            row.pending_seed = self.sealer.seal(repository.seed_context(username), seed)
            return True

        if not await self.db.write(change):
            raise _needs_current_code()
        uri = totp.otpauth_uri(seed, issuer=self.issuer, username=username)
        return EnrolledFactor(username=username, otpauth_uri=uri, qr_svg=qr.as_svg(uri))

    async def confirm(self, username: str, otp_code: str) -> ConfirmedFactor:
        """Take the waiting seed into use when the device shows its code.

        Raises:
            NotFound: nothing waits for a confirmation.
            Unprocessable: the code is wrong.
            TooManyRequests: too many wrong codes before.
        """
        made = codes.new_recovery_codes()

        def change(session: Session) -> bool:
            row = repository.factor(session, username)
            if row is None or row.pending_seed is None:
                raise NotFound(
                    "Nothing waits to be confirmed for this name; enrol it first with POST /factors."
                )
            self._refuse_locked(session, username)
            seed = self.sealer.open(repository.seed_context(username), row.pending_seed)
            step = totp.matching_step(seed, otp_code.strip(), self.clock())
            if step is None:
                self._count_failure(session, username)
                return False
            row.seed, row.pending_seed, row.last_step, row.confirmed_at = (
                row.pending_seed,
                None,
                step,
                self._now(),
            )
            repository.keep_lockout(session, username, Lockout())
            hashes = [codes.hashed(username, code) for code in made]
            repository.replace_recovery_codes(session, username, hashes)
            enqueue(session, "factor.confirmed", username, {"username": username})
            return True

        if not await self.db.write(change):
            raise Unprocessable(
                "The code is wrong. Check the clock of the device and send the code it shows now."
            )
        return ConfirmedFactor(success=True, recovery_codes=made)

    async def verify(self, username: str, otp_code: str) -> bool:
        """Whether the code is right: of the authenticator, a recovery code, or one that went out as an event.

        Raises:
            TooManyRequests: too many wrong codes before; the code was not looked at.
        """
        return await self.db.write(lambda session: self._right(session, username, otp_code))

    async def remove(self, username: str, otp_code: str | None, *, by_admin: bool) -> None:
        """Remove the factor with its recovery codes.

        Raises:
            NotFound: there is none.
            Forbidden: neither its current code was given nor does an admin ask.
        """

        def change(session: Session) -> bool:
            row = repository.factor(session, username)
            if row is None:
                raise NotFound("This name has no factor.")
            if row.seed is not None and not by_admin and not self._right(session, username, otp_code):
                return False
            session.delete(row)
            repository.forget_one_time_code(session, username)
            enqueue(session, "factor.removed", username, {"username": username})
            return True

        if not await self.db.write(change):
            raise _needs_current_code()

    async def status(self, username: str) -> FactorStatus:
        """What may be known about a factor.

        Raises:
            NotFound: there is none.
        """

        def look(session: Session) -> FactorStatus | None:
            row = repository.factor(session, username)
            if row is None:
                return None
            return FactorStatus(
                username=username,
                confirmed=row.seed is not None,
                created_at=row.created_at,
                confirmed_at=row.confirmed_at,
                recovery_codes_left=repository.recovery_codes_left(session, username),
            )

        found = await self.db.read(look)
        if found is None:
            raise NotFound("This name has no factor.")
        return found

    async def new_one_time_code(self, username: str, seconds: int) -> tuple[str, datetime]:
        """Make a code that is good for so many seconds, once; the last one is void. Gives it and its end."""
        code, expires_at = codes.new_one_time_code(), self._now() + timedelta(seconds=seconds)

        def change(session: Session) -> None:
            self._refuse_locked(session, username)
            sealed = self.sealer.seal(repository.code_context(username), code.encode())
            session.merge(OneTimeCode(username=username, code=sealed, expires_at=expires_at))

        await self.db.write(change)
        return code, expires_at

    async def seal_anew(self) -> None:
        """Seal everything with the active data key, a page at a time. Done before the old key is given up.

        What was sealed under a key that retired while no instance was running is opened with it once more.
        """
        async with self.sealer.reaching_back(await self.db.read(repository.sealed_heads, long=True)):
            await self.db.write(self._seal_codes_anew)
            after: str | None = ""
            while after is not None:
                after = await self.db.write(partial(self._seal_page_anew, after=after))

    def _seal_codes_anew(self, session: Session) -> None:
        for row in repository.one_time_codes(session):
            row.code = self._anew(repository.code_context(row.username), row.code)

    def _seal_page_anew(self, session: Session, after: str) -> str | None:
        page = repository.factors_after(session, after, _PAGE)
        for row in page:
            context = repository.seed_context(row.username)
            row.seed = row.seed and self._anew(context, row.seed)
            row.pending_seed = row.pending_seed and self._anew(context, row.pending_seed)
        return page[-1].username if page else None

    def _anew(self, context: str, sealed: bytes) -> bytes:
        if self.sealer.current(sealed):
            return sealed
        try:
            return self.sealer.seal(context, self.sealer.open(context, sealed))
        except SealBroken:
            # It was lost before; refusing to go on would only keep the old key alive for nothing.
            get_logger().error("sealed_row_does_not_open", place=context.split("/", 1)[0])
            return sealed

    def _right(self, session: Session, username: str, otp_code: str | None) -> bool:
        if otp_code is None:
            return False
        self._refuse_locked(session, username)
        code = "".join(otp_code.split()).replace("-", "")
        if self._is_authenticators(session, username, code) or self._is_one_time(session, username, code):
            repository.keep_lockout(session, username, Lockout())
            return True
        self._count_failure(session, username)
        return False

    def _is_authenticators(self, session: Session, username: str, code: str) -> bool:
        row = repository.factor(session, username)
        if row is None or row.seed is None:
            return False
        if codes.is_recovery_code(code):
            return repository.use_recovery_code(session, username, codes.hashed(username, code), self._now())
        seed = self.sealer.open(repository.seed_context(username), row.seed)
        step = totp.matching_step(seed, code, self.clock(), after=row.last_step)
        if step is not None:
            row.last_step = step
        return step is not None

    def _is_one_time(self, session: Session, username: str, code: str) -> bool:
        row = session.get(OneTimeCode, username)
        if row is None:
            return False
        try:
            kept = self.sealer.open(repository.code_context(username), row.code)
        except SealBroken:
            return False
        right = codes.same(kept, code.encode()) and self._now() < row.expires_at
        if right or self._now() >= row.expires_at:
            session.delete(row)
        return right

    def _refuse_locked(self, session: Session, username: str) -> None:
        seconds = repository.lockout(session, username).remaining(self.clock())
        if seconds > 0:
            raise TooManyRequests(
                "Too many wrong codes for this name; no code is looked at for now.",
                headers={"Retry-After": str(int(seconds) + 1)},
            )

    def _count_failure(self, session: Session, username: str) -> None:
        after = repository.lockout(session, username).after_failure(self.clock())
        repository.keep_lockout(session, username, after)
        if after.remaining(self.clock()) > 0:
            enqueue(session, "factor.locked", username, {"username": username, "failures": after.failures})

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)


def _needs_current_code() -> Forbidden:
    return Forbidden(
        "A factor is in use for this name: changing it needs its current code as otp_code, or an admin."
    )


def recipient_for(username: str, recipient: str | None, caller: str) -> str:
    """The identity that a one-time code goes to.

    Raises:
        Conflict: it is the caller, who would then hold both the code and the word on it.
    """
    chosen = recipient or username
    if chosen == caller:
        raise Conflict("The code goes to somebody else than the one who asks for it; name another recipient.")
    return chosen
