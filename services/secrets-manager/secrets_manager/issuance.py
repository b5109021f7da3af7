"""Deciding whether a token is issued, and for what (RFC 6749, RFC 8693)."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol

from fountain_common.db import Database
from fountain_common.errors import TooManyRequests, Unauthenticated, Unavailable
from fountain_common.names import PLATFORM
from fountain_common.requests import RequestContext, current
from fountain_common.roles import Permission, permissions_of
from fountain_common.tries import network_of
from sqlalchemy.orm import Session

from secrets_manager import refusals
from secrets_manager.audit import SELF, Audit
from secrets_manager.authentication import Authenticator, Principal
from secrets_manager.signing_keys import SigningKey
from secrets_manager.throttle import FailureThrottle
from secrets_manager.token_requests import TOKEN_EXCHANGE, OAuthError, TokenRequest
from secrets_manager.tokens import Grant, IssuedToken, audience_of, mint

_ACTION: Final = "tokens:issue"
_EXCHANGE: Final = "tokens:exchange"
_TRIES: Final = 5
_WRONG: Final = (
    "The client or its key is not valid. Check that the key is complete, not expired and not revoked."
)


class Signer(Protocol):
    """Who has the key that signs now."""

    def current(self) -> SigningKey:
        """Return it."""


class _ChangedMeanwhile(Exception):
    """A key or its identity is not what it was when it was judged."""


class Issuance:
    """Issues tokens for API keys; every one, and every refusal, is in the audit before it is answered.

    Args:
        issuer: `iss`, a setting and never a Host header.
        monotonic: seconds, for the throttle.
    """

    def __init__(
        self,
        issuer: str,
        authenticator: Authenticator,
        keys: Signer,
        audit: Audit,
        db: Database,
        throttle: FailureThrottle,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer, self._authenticator, self._keys, self._audit = issuer, authenticator, keys, audit
        self._db, self._throttle, self._clock, self._monotonic = db, throttle, clock, monotonic
        self._exchanges = FailureThrottle()

    async def issue(self, asked: TokenRequest, context: RequestContext) -> IssuedToken:
        """Return a token.

        Raises:
            OAuthError: it is refused; says why, but not which part of a credential was wrong.
            Unavailable: the audit cannot be written.
        """
        for _ in range(_TRIES):
            with suppress(_ChangedMeanwhile):
                return await self._decide(asked, context)
        raise Unavailable("This identity is being changed; try again.")

    async def _decide(self, asked: TokenRequest, context: RequestContext) -> IssuedToken:
        client = await self._client(asked, context)
        if asked.grant_type == TOKEN_EXCHANGE:
            return await self._exchange(client, asked, context)
        audience = audience_of(asked.resources, client.audiences, PLATFORM)
        if audience is None:
            await self._refuse(client, context, {"reason": "audience", "resources": list(asked.resources)})
            raise OAuthError("invalid_target", _target_sentence(asked, client))
        grant = Grant(client.name, client.roles, audience, client.name, client.key_id)
        detail = {"key_id": client.key_id, "audience": list(audience)}
        judged = [(asked.client_secret, client)]
        return await self._grant(grant, judged, _ACTION, detail, context)

    def own(self, audience: str | None) -> IssuedToken:
        """Return a token of the secrets manager itself: made in this process, no key is needed."""
        grant = Grant(SELF, ("service",), (audience,) if audience else PLATFORM, SELF)
        return mint(grant, self._keys.current(), self._issuer, self._clock())

    async def for_own_use(self, raw: str, client: str = "") -> str:
        """Return a token for a key shown to the secrets manager itself as X-API-Key, where any key works.

        Args:
            raw: the key.
            client: the address that it came from.
        """
        context = current()
        principal = await self._authenticator.authenticate(raw)
        if principal is None:
            wait = await self._failed("", context, client)
            if wait:
                raise TooManyRequests(
                    "Too many wrong keys came from this address.", headers=_retry_after(wait)
                )
            raise Unauthenticated(
                "The API key is not valid. Check that it is complete, not expired and not revoked."
            )
        if _held_back(principal, _came_through_edge(context)) or (
            principal.audiences and SELF not in principal.audiences
        ):
            reason = "audience" if principal.audiences else "edge"
            await self._refuse(principal, context, {"reason": reason})
            raise Unauthenticated(
                "The API key is not valid here: it was made for other services, or not for use from outside."
            )
        grant = Grant(principal.name, principal.roles, (SELF,), principal.name, principal.key_id)
        # It lives in this process, for the request that the key came with.
        return mint(grant, self._keys.current(), self._issuer, self._clock(), principal.not_before).token

    async def _client(self, asked: TokenRequest, context: RequestContext) -> Principal:
        client = await self._authenticator.authenticate(asked.client_secret, asked.client_id)
        if client is None:
            wait = await self._failed(asked.client_id or "", context)
            if wait:
                raise OAuthError(
                    "invalid_client", "Too many wrong keys came from this address.", 429, max(1, round(wait))
                )
            raise OAuthError("invalid_client", _WRONG, 401)
        if _held_back(client, _came_through_edge(context)):
            await self._refuse(client, context, {"reason": "edge"})
            raise OAuthError(
                "unauthorized_client",
                f"The keys of {client.name} are for use inside. An admin can make the identity remote.",
            )
        return client

    async def _exchange(self, client: Principal, asked: TokenRequest, context: RequestContext) -> IssuedToken:
        if Permission.TOKENS_EXCHANGE not in permissions_of(client.roles, client.name) or client.audiences:
            await self._refuse(client, context, {"reason": "permission"}, _EXCHANGE)
            raise OAuthError("unauthorized_client", f"Exchanging a key needs {Permission.TOKENS_EXCHANGE}.")
        if asked.resources not in ((), (client.name,)):
            await self._refuse(client, context, {"reason": "audience"}, _EXCHANGE)
            raise OAuthError("invalid_target", "A key can be exchanged for a token for oneself alone.")
        # From here on the client has proved who it is, and may say where a key was shown to it.
        where: dict[str, object] = {"shown_from": asked.shown_from} if asked.shown_from else {}
        shown = await self._authenticator.authenticate(asked.subject_token)
        if shown is None or client.name not in shown.audiences:
            where["exposed"] = bool(shown and not shown.audiences)
            await self._refuse_exchange(client, shown, context, where)
            raise OAuthError(
                "invalid_grant", f"The key is not valid, or was not made with {client.name} as audience."
            )
        if _held_back(shown, asked.through_edge):
            await self._refuse_exchange(client, shown, context, {**where, "reason": "edge"})
            raise OAuthError(
                "invalid_grant",
                f"The keys of {shown.name} are for use inside. An admin can make the identity remote.",
            )
        grant = Grant(shown.name, shown.roles, (client.name,), client.name, shown.key_id)
        detail = {"key_id": shown.key_id, "client": client.name, **where}
        judged = [(asked.subject_token, shown), (asked.client_secret, client)]
        return await self._grant(grant, judged, _EXCHANGE, detail, context)

    async def _grant(
        self,
        grant: Grant,
        judged: Sequence[tuple[str, Principal]],
        action: str,
        detail: dict[str, Any],
        context: RequestContext,
    ) -> IssuedToken:
        """Write the record and sign, if the keys are still what they were judged to be.

        This is asked, and the token's date taken, in the writer's turn. Every revocation has such a turn
        too: either it came before and is seen here, or it comes later and refuses all tokens dated until
        then.
        """

        def run(session: Session) -> float:
            for key, before in judged:
                if self._authenticator.judge(session, key) != before:
                    raise _ChangedMeanwhile
            self._audit.record(
                session,
                caller=grant.subject,
                action=action,
                target=f"identities/{grant.subject}",
                detail=detail,
                request=context,
            )
            return self._clock()

        moment = await self._db.write(run)
        return mint(grant, self._keys.current(), self._issuer, moment, judged[0][1].not_before)

    async def _refuse_exchange(
        self,
        client: Principal,
        shown: Principal | None,
        context: RequestContext,
        said: Mapping[str, object],
    ) -> None:
        """Write down that a key which somebody showed to a service was refused.

        Whoever can reach the service can make it ask, as often as he likes: many wrong keys from one address,
        and many tries of one key, become one record.
        """
        detail = dict(said)
        address = network_of(str(detail.get("shown_from", "")))
        source = f"{client.name} key {shown.key_id}" if shown else f"{client.name} from {address}"
        report = self._exchanges.failed(source, self._monotonic()).report
        if not report:
            return
        detail["client"] = client.name
        if shown is not None:
            detail["key_id"] = shown.key_id
        if report > 1:
            detail["failures"] = report
        await self._record(shown.name if shown else client.name, "denied", context, detail, _EXCHANGE)

    async def report_refusals(self, *, silent_seconds: float | None = None) -> None:
        """Write down what was refused so often that not each refusal has a record, and is over."""
        now = self._monotonic()
        for throttle, action in ((self._throttle, _ACTION), (self._exchanges, _EXCHANGE)):
            await refusals.report(self._audit, throttle, action, now, silent_seconds=silent_seconds)

    async def _failed(self, claimed: str, context: RequestContext | None, client: str = "") -> float:
        """Count a wrong key, write it down unless too many came, and return the seconds to wait."""
        address = network_of(context.client if context else client)
        verdict = self._throttle.failed(address, self._monotonic())
        if verdict.report:
            detail = {"claimed": claimed[:64], "failures": verdict.report}
            await self._record("unknown", "denied", context, detail)
        return verdict.retry_after

    async def _refuse(
        self,
        principal: Principal,
        context: RequestContext | None,
        detail: dict[str, Any],
        action: str = _ACTION,
    ) -> None:
        await self._record(principal.name, "denied", context, {"key_id": principal.key_id, **detail}, action)

    async def _record(
        self,
        name: str,
        outcome: str,
        context: RequestContext | None,
        detail: dict[str, Any],
        action: str = _ACTION,
    ) -> None:
        await self._audit.append(
            caller=name,
            action=action,
            target=f"identities/{name}",
            outcome=outcome,
            detail=detail,
            request=context,
        )


def _held_back(principal: Principal, through_edge: bool) -> bool:
    """Tell whether a service's key came through the edge, where only remote identities' are honoured."""
    return principal.kind == "service" and not principal.remote and through_edge


def _came_through_edge(context: RequestContext | None) -> bool:
    return context is not None and context.through_edge


def _target_sentence(asked: TokenRequest, client: Principal) -> str:
    if client.audiences:
        return f"This key was made for {', '.join(client.audiences)} alone."
    return f"A token is for one service, or for several of {', '.join(PLATFORM)}; name fewer."


def _retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, round(seconds)))}
