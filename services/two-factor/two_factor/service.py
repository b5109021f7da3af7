"""What the service does. Each step is one transaction, so that of two uses of a code exactly one succeeds."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from fountain_common import (
    Conflict,
    Database,
    Forbidden,
    Gone,
    NotFound,
    SealBroken,
    Sealer,
    Unavailable,
    Unprocessable,
    enqueue,
    get_logger,
)
from sqlalchemy.orm import Session

from two_factor import codes, qr, repository, totp
from two_factor.judge import Judge, Verdict
from two_factor.lockout import Lockout
from two_factor.models import Factor, OneTimeCode
from two_factor.schemas import ConfirmedFactor, EnrolledFactor, FactorStatus

_PAGE = 200
#: Whoever finds the picture of an enrolment that was given up must not make it a factor next year.
ENROLMENT_LIFE = timedelta(minutes=15)


@dataclass(frozen=True)
class Factors:
    """Second factors of people. `clock` answers the time in seconds since the epoch."""

    db: Database
    sealer: Sealer
    issuer: str
    clock: Callable[[], float]

    @property
    def judge(self) -> Judge:
        """Who says whether a code is right."""
        return Judge(self.sealer, self.clock)

    async def enrol(self, username: str, otp_code: str | None, *, by_admin: bool) -> EnrolledFactor:
        """Make a seed that waits for its confirmation; a factor in use goes on until then.

        Raises:
            Forbidden: a factor is in use, and neither a code of its own was given nor does an admin ask.
            Conflict: its seed does not open, so that no code of its can be judged.
        """
        seed, until = totp.new_seed(), self.judge.now() + ENROLMENT_LIFE

        def change(session: Session) -> Verdict:
            repository.take_turns(session, username)
            row = repository.factor(session, username)
            if row is None:
                row = Factor(username=username, created_at=self.judge.now(), last_step=-1)
                session.add(row)
            elif (verdict := self._may_change(session, row, otp_code, by_admin)) is not Verdict.RIGHT:
                return verdict
            row.pending_seed = self._sealed(repository.seed_context(username), seed)
            row.pending_until = until
            return Verdict.RIGHT

        _require_change(await self.db.write(change))
        uri = totp.otpauth_uri(seed, issuer=self.issuer, username=username)
        return EnrolledFactor(username=username, otpauth_uri=uri, qr_svg=qr.as_svg(uri), expires_at=until)

    async def confirm(self, username: str, otp_code: str) -> ConfirmedFactor:
        """Take the waiting seed into use when the device shows its code.

        Raises:
            NotFound: nothing waits for a confirmation.
            Gone: it has waited too long.
            Unprocessable: the code is wrong.
            TooManyRequests: too many wrong codes before.
            Conflict: the waiting seed does not open; it has to be enrolled anew.
        """
        made = codes.new_recovery_codes()

        def change(session: Session) -> bool:
            repository.take_turns(session, username)
            row = repository.factor(session, username)
            if row is None or row.pending_seed is None:
                raise NotFound(
                    "No enrolment waits to be confirmed for this name. Begin one with POST /factors."
                )
            if not self._still_waits(row):
                raise Gone("This enrolment has expired. Begin a new one with POST /factors.")
            self.judge.refuse_locked(session, username)
            seed = self.judge.opened(username, row.pending_seed)
            if seed is None:
                raise Conflict("The key of this enrolment is lost. Begin a new one with POST /factors.")
            step = totp.matching_step(seed, codes.typed(otp_code), self.clock())
            if step is None:
                self.judge.count_failure(session, username)
                return False
            row.seed, row.pending_seed, row.pending_until = row.pending_seed, None, None
            row.last_step, row.confirmed_at = step, self.judge.now()
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
            Conflict: the factor's seed does not open, so that no code of its can be judged.
        """

        def change(session: Session) -> Verdict:
            repository.take_turns(session, username)
            return self.judge.judged(session, username, otp_code, sent_too=True)

        verdict = await self.db.write(change)
        if verdict is Verdict.LOST:
            raise _lost()
        return verdict is Verdict.RIGHT

    async def remove(self, username: str, otp_code: str | None, *, by_admin: bool) -> None:
        """Remove the factor with its recovery codes.

        Raises:
            NotFound: there is none.
            Forbidden: neither a code of its own was given nor does an admin ask.
            Conflict: its seed does not open, so that no code of its can be judged.
        """

        def change(session: Session) -> Verdict:
            repository.take_turns(session, username)
            row = repository.factor(session, username)
            if row is None:
                raise NotFound("This name has no factor.")
            if (verdict := self._may_change(session, row, otp_code, by_admin)) is not Verdict.RIGHT:
                return verdict
            session.delete(row)
            repository.forget_one_time_code(session, username)
            enqueue(session, "factor.removed", username, {"username": username})
            return Verdict.RIGHT

        _require_change(await self.db.write(change))

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
        code, expires_at = codes.new_one_time_code(), self.judge.now() + timedelta(seconds=seconds)

        def change(session: Session) -> None:
            repository.take_turns(session, username)
            self.judge.refuse_locked(session, username)
            sealed = self._sealed(repository.code_context(username), code.encode())
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
            waits = row.pending_seed if self._still_waits(row) else None
            row.pending_seed = waits and self._anew(context, waits)
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

    def _sealed(self, context: str, plaintext: bytes) -> bytes:
        try:
            return self.sealer.seal(context, plaintext)
        except SealBroken:
            raise Unavailable(
                "This service has no DATA_KEY yet. Name it in FOUNTAIN_SERVICES, as two-factor:DATA_KEY."
            ) from None

    def _may_change(self, session: Session, row: Factor, otp_code: str | None, by_admin: bool) -> Verdict:
        """A factor in use changes with a code of its own, or by an admin.

        A code that was sent shows that somebody reads the person's messages, not that the device is theirs.
        """
        if row.seed is None or by_admin:
            return Verdict.RIGHT
        if otp_code is None:
            return Verdict.WRONG
        return self.judge.judged(session, row.username, otp_code, sent_too=False)

    def _still_waits(self, row: Factor) -> bool:
        """Whether its new seed can be confirmed; one from before this was counted cannot."""
        return row.pending_until is not None and self.judge.now() < row.pending_until


def _require_change(verdict: Verdict) -> None:
    if verdict is Verdict.LOST:
        raise _lost()
    if verdict is Verdict.WRONG:
        raise Forbidden(
            "This name already has a factor. To change it, send a code of its authenticator or a recovery "
            "code as otp_code, or ask an admin. A code that was sent out is not enough."
        )


def _lost() -> Conflict:
    return Conflict(
        "The key of this factor is lost, so the codes of its authenticator cannot be checked. Use a recovery "
        "code, or have an admin remove the factor with DELETE /factors/{username} and enrol again."
    )
