"""A service that keeps the contract without this house's library: the standard library's server, and a JWT.

It stands for one in another language. It leaves out what a caller cannot see: lookup, events, secrets.
"""

import json
import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

NAME, VERSION, DESCRIPTION = "notes", "2.0.0", "Keeps notes, in a language of its own."
LIMIT = 1024 * 1024
BEGAN = time.monotonic()
_ID = re.compile(r"[A-Za-z0-9-]{1,128}")
_PROBLEM = "application/problem+json"
_IN_URL = re.compile(r"[?&](access_token|api_key|token)=")
_FORMS: tuple[tuple[set[str], set[str]], ...] = (
    ({"specversion", "id", "source", "type"}, {"subject", "time", "datacontenttype", "data"}),
    ({"type"}, {"subject", "data"}),
    ({"message"}, {"subject"}),
    ({"serviceName", "rotationTime", "version"}, set()),
)


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.more = status, detail, more


def problem(description: str) -> dict[str, Any]:
    """An error as the document declares it."""
    return {"description": description, "content": {_PROBLEM: {"schema": {"type": "object"}}}}


def operation(name: str, summary: str, *, public: bool = False, body: str = "") -> dict[str, Any]:
    """One operation of the document."""
    found: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "description": f"{summary}, as every service does.",
        "responses": {"200": {"description": "Done"}},
    }
    if public:
        return {**found, "security": []}
    found["responses"] |= {str(status): problem("An error") for status in (400, 401, 403, 413, 422, 500)}
    if body:
        schema = {"$ref": f"#/components/schemas/{body}"}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {**found, "security": [{"bearer": []}]}


DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Notes", "version": VERSION, "description": DESCRIPTION},
    "paths": {
        "/": {"get": operation("getLandingPage", "Show the landing page", public=True)},
        "/health": {"get": operation("getHealthStatus", "Tell how it is", public=True)},
        "/notifications": {"post": operation("receiveNotification", "Receive an event", body="Event")},
        "/notes": {"post": operation("addNote", "Add a note", body="Note")},
    },
    "components": {
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        "schemas": {
            "Event": {"type": "object"},
            "Note": {
                "type": "object",
                "required": ["text"],
                "properties": {"text": {"type": "string"}},
                "additionalProperties": False,
            },
        },
    },
}
PAGE = (
    f"<html><title>Notes</title><h1>Notes {VERSION}</h1><p>{DESCRIPTION}</p>"
    '<a href="/docs">Documentation</a> <a href="/health">Health</a></html>'
)
DOCS = '<html><script src="/docs/ui.js"></script><div id="ui"></div></html>'


class Notes(BaseHTTPRequestHandler):
    """One request. A subclass per test has the key, and breaks what it is to break."""

    protocol_version = "HTTP/1.1"
    key: ClassVar[Ed25519PublicKey]
    issuer: ClassVar[str]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: nobody reads it here."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def routes(self) -> dict[str, dict[str, Callable[[], tuple[str, str]]]]:
        """What there is, by path and method; each answers a type and a text."""
        return {
            "/": {"GET": lambda: ("text/html", PAGE)},
            "/health": {"GET": lambda: ("application/json", json.dumps(self.health()))},
            "/metrics": {"GET": lambda: ("text/plain; version=0.0.4", "notes_total 0\n")},
            "/openapi.json": {"GET": lambda: ("application/json", json.dumps(DOCUMENT))},
            "/docs": {"GET": lambda: ("text/html", DOCS)},
            "/docs/ui.js": {"GET": lambda: ("text/javascript", "document.title = 'Notes';")},
            "/notes": {"POST": self.add_note},
            "/notifications": {"POST": self.receive},
        }

    def health(self) -> dict[str, Any]:
        """How it is."""
        shared = {"service": NAME, "version": VERSION, "uptime_seconds": time.monotonic() - BEGAN}
        now = datetime.now(UTC).isoformat()
        return {"status": "healthy", **shared, "timestamp": now, "checks": {}, "degraded": []}

    def add_note(self) -> tuple[str, str]:
        """Add a note."""
        self.authorise("notes:write")
        body = self.body()
        if not isinstance(body, dict) or set(body) != {"text"} or not isinstance(body["text"], str):
            error = {"type": "form", "loc": ["body"], "msg": "an object with a text"}
            raise Refusal(422, "The note is not valid.", errors=[error])
        return "application/json", json.dumps({"kept": True})

    def receive(self) -> tuple[str, str]:
        """Receive an event."""
        self.authorise("notifications:deliver")
        body = self.body()
        forms = [
            form for form in _FORMS if isinstance(body, dict) and form[0] <= set(body) <= form[0] | form[1]
        ]
        named = isinstance(body, dict) and body.get("type", "a")
        if not forms or not isinstance(named, str) or not re.fullmatch(r"[\w.-]+", named):
            raise Refusal(422, "That is no event.", errors=[])
        return "application/json", json.dumps({"message": "Notification received; nobody waits for it."})

    def authorise(self, permission: str) -> None:
        """Let a token for this service in, if it has the permission."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, self.key, ["EdDSA"], audience=NAME, issuer=self.issuer)
        except jwt.PyJWTError:
            raise Refusal(401, "A token for this service is needed.") from None
        if "admin" not in claims["roles"]:
            raise Refusal(403, f"This needs the permission {permission}; your roles are none.")

    def body(self) -> Any:
        """Read the body as JSON, however it is sent, up to the limit."""
        text = b"".join(self._pieces())
        try:
            return json.loads(text)
        except ValueError:
            raise Refusal(400, "The body is not valid JSON.") from None

    def _pieces(self) -> Any:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            length = int(self.headers.get("Content-Length", 0))
            self._limit(length)
            yield self.rfile.read(length)
            return
        read = 0
        while size := int(self.rfile.readline(), 16):
            self._limit(read := read + size)
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _limit(self, size: int) -> None:
        if size > LIMIT:
            raise Refusal(413, f"The body is larger than {LIMIT} bytes.")

    def _answer(self) -> None:
        given = self.headers.get("X-Request-ID", "")
        request_id = given if _ID.fullmatch(given) else secrets.token_hex(16)
        path = self.path.partition("?")[0]
        try:
            if _IN_URL.search(self.path):
                raise Refusal(400, "The URL carries a credential: use the Authorization header.")
            methods = self.routes().get(path)
            if methods is None:
                raise Refusal(404, "There is nothing at this path.")
            if self.command not in methods:
                raise Refusal(405, f"{self.command} is not allowed here.")
            kind, text = methods[self.command]()
            self._send(200, kind, text, request_id)
        except Refusal as refusal:
            members = {"type": "about:blank", "title": HTTPStatus(refusal.status).phrase, **refusal.more}
            members |= {"status": refusal.status, "detail": refusal.detail}
            members |= {"instance": path, "request_id": request_id}
            self.close_connection = True
            self._send(refusal.status, _PROBLEM, json.dumps(members), request_id)

    def _send(self, status: int, kind: str, text: str, request_id: str) -> None:
        self.send_response(status)
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        if self.close_connection:
            self.send_header("Connection", "close")
        content = text.encode()
        headers = {"Content-Type": kind, "Content-Length": str(len(content)), "X-Request-ID": request_id}
        headers["Content-Security-Policy"] = "default-src 'none'; script-src 'self'; style-src 'self'"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
