"""The one layer around an application: request id, client, refusals, metrics, access log, unhandled errors.

One plain ASGI class instead of seven: each layer costs every request a frame, and all of them need the same
few facts about it.
"""

import time
from collections.abc import Iterable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from fountain_common.connection import ANSWER
from fountain_common.errors import CLIENT_CLOSED, MEDIA_TYPE, Problem, document
from fountain_common.limits import BodyLimit, body_is_too_large, credential_in_url
from fountain_common.logging import get_logger, log_request
from fountain_common.metrics import UNMATCHED, Metrics
from fountain_common.requests import HEADERS, Edge, RequestContext, accept, client_address, enter, leave
from fountain_common.shortcuts import Answer, QuickRequest, Shortcut, Shortcuts
from fountain_common.tracing import enter_span
from fountain_common.websocket import OpenSockets

_IN_URL = "The URL carries a credential, and URLs end up in logs: use the Authorization or X-API-Key header."
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_QUIET = frozenset({"/health", "/metrics"})


def route_template(scope: Scope) -> str:
    """Return the template of the route that was taken, prefixes included, or `UNMATCHED`."""
    context = scope.get("fastapi", {}).get("effective_route_context")
    taken = context if context is not None else scope.get("route")
    template = getattr(taken, "path_format", None) or getattr(taken, "path", None)
    return template if isinstance(template, str) else UNMATCHED


class RequestLayer:
    """See the module.

    Args:
        app: what it wraps.
        metrics: counts the requests.
        edge: knows whose X-Forwarded-For to believe.
        max_body_bytes: larger bodies are a 413.
        tracing: whether OpenTelemetry's span has begun around this layer, whose ids are then the request's.
        stream_paths: templates of routes that answer as long as the caller stays; not in the histogram.
        shortcuts: short ways past the application.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        edge: Edge,
        max_body_bytes: int,
        tracing: bool = False,
        stream_paths: Iterable[str] = (),
        shortcuts: Iterable[Shortcut] = (),
    ) -> None:
        self._app = app
        self._metrics, self._edge, self._max_body_bytes = metrics, edge, max_body_bytes
        self._sockets, self._tracing = OpenSockets(), tracing
        self._streams = frozenset(stream_paths)
        self._shortcuts = Shortcuts(shortcuts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._answer_other(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        peer = scope["client"][0] if scope.get("client") else ""
        forwarded = headers.get(b"x-forwarded-for")
        client = peer
        if forwarded is not None:
            client = await client_address(self._edge, peer, forwarded.decode("latin-1"))
        context = accept(headers, client, enter_span() if self._tracing else None)
        once = len(headers) == len(scope["headers"])
        # A copy: a service's own middleware may edit the list in place.
        scope[HEADERS] = (list(scope["headers"]), headers) if once else None
        state = scope.setdefault("state", {})
        state["request_id"], state["context"] = context.request_id, context
        token = enter(context)
        self._metrics.open += 1
        exchange = _Exchange(scope, send, context.request_id.encode())
        try:
            refused = _refusal(scope, headers, self._max_body_bytes)
            if refused is not None:
                await exchange.problem(scope, context, *refused)
            elif b"transfer-encoding" in headers:
                await self._app(scope, BodyLimit(receive, self._max_body_bytes), exchange)
            else:
                # Parameters are for the ordinary way to judge, and so is a header that was sent twice.
                plain = once and not scope["query_string"]
                found = self._shortcuts.find(scope["method"], scope["path"]) if plain else None
                if found is None:
                    await self._app(scope, receive, exchange)
                else:
                    request = QuickRequest(scope["app"], headers, found[1], receive)
                    await self._take(found[0], request, scope, context, exchange)
            if exchange.head is not None:
                await exchange.finish()
        except Exception as error:  # noqa: BLE001 - the last place: nothing may reach the server's own error page
            get_logger().error("unhandled_error", route=route_template(scope), exc_info=error)
            if not exchange.status:
                await exchange.problem(
                    scope, context, 500, "Something went wrong here. Look for the request id in the logs."
                )
        finally:
            self._metrics.open -= 1
            self._record(scope, context, exchange.status or CLIENT_CLOSED, time.perf_counter() - started)
            leave(token)

    async def _take(
        self,
        shortcut: Shortcut,
        request: QuickRequest,
        scope: Scope,
        context: RequestContext,
        exchange: "_Exchange",
    ) -> None:
        try:
            answer = await shortcut.answer(request)
        except Problem as problem:
            scope["route"] = shortcut
            members = {"type": problem.type, **problem.extra}
            await exchange.problem(
                scope, context, problem.status, problem.detail, headers=problem.headers, members=members
            )
            return
        if answer is None:
            await self._app(scope, request.receive(), exchange)
            return
        # Its path is the template, as a route's is.
        scope["route"] = shortcut
        await exchange.answer(answer)

    async def _answer_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        headers = dict(scope["headers"])
        peer = scope["client"][0] if scope.get("client") else ""
        client = await client_address(
            self._edge, peer, headers.get(b"x-forwarded-for", b"").decode("latin-1")
        )
        context = accept(headers, client, enter_span() if self._tracing else None)
        scope.setdefault("state", {}).update(request_id=context.request_id, context=context)
        token = enter(context)
        exchange = self._sockets.exchange(scope, receive, send, context.request_id)
        try:
            if credential_in_url(scope["query_string"], headers.get(b"host", b""), scope["path"]):
                await exchange.refuse(scope, 400, _IN_URL)
            else:
                await self._app(scope, exchange.receive, exchange)
        except WebSocketDisconnect:
            # The caller left while it was listened to: how most sockets end.
            pass
        except Exception as error:  # noqa: BLE001 - as above: the last place
            get_logger().error("unhandled_error", route=route_template(scope), exc_info=error)
            await exchange.fail(scope)
        finally:
            self._sockets.forget(exchange)
            # Logged when it ends; how long it was open says nothing about how fast we are.
            seconds = time.perf_counter() - started
            self._record(scope, context, exchange.status or CLIENT_CLOSED, seconds, method="GET", timed=False)
            leave(token)

    def _record(
        self,
        scope: Scope,
        context: RequestContext,
        status: int,
        seconds: float,
        *,
        method: str | None = None,
        timed: bool = True,
    ) -> None:
        # The template and not the path: a path can hold what must not be logged, such as a signed link.
        template = route_template(scope)
        method = method or scope["method"]
        timed = timed and template not in self._streams
        self._metrics.observe(method, template, status, seconds if timed else None)
        log_request(
            context,
            quiet=template in _QUIET and status < 400,
            method=method,
            route=template,
            status=status,
            duration_ms=round(seconds * 1000, 3),
            client=context.client,
            edge=context.through_edge,
        )


class _Exchange:
    """Sends on, with the request id, and remembers the status.

    A head that tells the length of its body waits for the body: they leave in one step, where the connection
    has one and the body is whole. Others leave at once, as there may be nothing behind them for long.
    """

    __slots__ = ("_request_id", "_send", "_whole", "head", "status")

    def __init__(self, scope: Scope, send: Send, request_id: bytes) -> None:
        self._send, self._request_id = send, request_id
        self._whole = scope.get("extensions", {}).get(ANSWER)
        self.head: Message | None = None
        self.status = 0

    async def __call__(self, message: Message) -> None:
        head = self.head
        if head is not None:
            self.head = None
            self.status = head["status"]
            whole = message["type"] == "http.response.body" and not message.get("more_body")
            if whole and self._leaves(head, message.get("body", b"")):
                return
            await self._send(head)
        elif message["type"] == "http.response.start":
            headers = message["headers"] = [
                *message.get("headers", ()),
                (b"x-request-id", self._request_id),
                _NOSNIFF,
            ]
            if self._whole is not None and any(name == b"content-length" for name, _ in headers):
                self.head = message
                return
            self.status = message["status"]
        await self._send(message)

    async def finish(self) -> None:
        """Send a head behind which nothing has come: that the body is missing is the server's to judge."""
        head, self.head = self.head, None
        if head is not None:
            self.status = head["status"]
            await self._send(head)

    def _leaves(self, head: Message, body: bytes) -> bool:
        length = b"%d" % len(body)
        headers = []
        for header in head["headers"]:
            if header[0] != b"content-length":
                headers.append(header)
            elif header[1] != length:
                return False
        return bool(self._whole and self._whole(self._send, head["status"], headers, body))

    async def answer(self, answer: Answer) -> None:
        """Send a whole answer, in one step where the connection has one."""
        status, body, headers = answer
        self.status = status
        headers = (*headers, (b"x-request-id", self._request_id), _NOSNIFF)
        if self._whole is not None and self._whole(self._send, status, headers, body):
            return
        if status != 304:
            headers = (*headers, (b"content-length", b"%d" % len(body)))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def problem(
        self,
        scope: Scope,
        context: RequestContext,
        status: int,
        detail: str | None,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        """Send a problem."""
        body = document(status, detail, scope["path"], context.request_id, members)
        fields = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
        fields.append((b"content-type", MEDIA_TYPE.encode()))
        if status == 413:
            # The rest of the body is not read: the connection cannot be used again.
            fields.append((b"connection", b"close"))
        await self.answer(Answer(status, body, tuple(fields)))


def _refusal(scope: Scope, headers: dict[bytes, bytes], limit: int) -> tuple[int, str] | None:
    if credential_in_url(scope.get("query_string", b""), headers.get(b"host", b""), scope["path"]):
        return 400, _IN_URL
    if b"content-length" in headers and body_is_too_large(headers[b"content-length"], limit):
        return 413, f"The body is larger than {limit} bytes."
    return None
