"""A Secrets Manager in memory, for tests: tokens, and secrets that rotate as the real ones do."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs

import httpx2
import orjson

from fountain_common.fakes.tokens import LIFE_SECONDS, TokenMaker

Emit = Callable[[str, str | None, Any], object]


@dataclass
class _Service:
    values: dict[int, dict[str, str]]
    states: dict[int, str]
    accepts: dict[str, int] = field(default_factory=dict)
    uses: dict[str, int] = field(default_factory=dict)
    holders: set[str] = field(default_factory=set)

    @property
    def active(self) -> int:
        return next(version for version, state in self.states.items() if state == "active")


class FakeRotation:
    """One rotation, which goes on when it is told to, or by itself when it was begun with `rotate`."""

    def __init__(self, manager: "FakeSecretsManager", service: str, version: int) -> None:
        self._manager, self.service, self.version = manager, service, version

    @property
    def state(self) -> str:
        """`staged`, `active`, `draining` or `retired`."""
        return self._manager.state(self.service, self.version)

    @property
    def accepted_by(self) -> set[str]:
        """The instances that said that they accept it."""
        return self._manager.acknowledged(self.service, self.version, "accepts")

    @property
    def used_by(self) -> set[str]:
        """The instances that said that they use it."""
        return self._manager.acknowledged(self.service, self.version, "uses")

    def activate(self) -> None:
        """Have it be used; the one before it drains."""
        self._manager.activate(self.service, self.version)

    def retire_previous(self) -> None:
        """Honour nothing that drains any more."""
        self._manager.retire(self.service)

    retire = retire_previous


class FakeSecretsManager:
    """Issues tokens, hands out secrets and takes acknowledgements.

    Every service has an API key and a first version, made when somebody asks. `roles` and `keys` can be
    changed.

    Attributes:
        roles: of an identity; `["service"]` if not there.
        keys: the API keys that are honoured, with their identities.
        audiences: the services that honour a key as `X-API-Key`.
        revocations: what the document says.
        requests: methods and paths, in order.
        down: nobody answers.
    """

    def __init__(self, tokens: TokenMaker, emit: Emit = lambda _type, _subject, _data: None) -> None:
        self._tokens, self._emit = tokens, emit
        self._services: dict[str, _Service] = {}
        self._lock = threading.RLock()
        self._own_keys: dict[str, str] = {}
        self.keys: dict[str, str] = {}
        self.audiences: dict[str, set[str]] = {}
        self.roles: dict[str, list[str]] = {}
        self.revocations: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str]] = []
        self.epoch = secrets.token_hex(4)
        self.down = False

    # --- what a test does -------------------------------------------------------------------------------

    def key_of(self, identity: str) -> str:
        """Return the API key of an identity."""
        if identity not in self._own_keys:
            self._own_keys[identity] = self.new_key(identity)
        return self._own_keys[identity]

    def new_key(
        self, identity: str, audiences: tuple[str, ...] = (), roles: tuple[str, ...] | None = None
    ) -> str:
        """Make an API key; with audiences it is honoured as `X-API-Key` there."""
        key = f"fnt_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
        self.keys[key] = identity
        self.audiences[key] = set(audiences)
        if roles is not None:
            self.roles[identity] = list(roles)
        return key

    def revoke(self, **what: Any) -> None:
        """Revoke: `subject="x"` or `key_id="..."`, now unless `not_before` says otherwise."""
        self.revocations.append({"not_before": time.time() + 1, **what})
        self._emit("identity.revoked", what.get("subject"), None)

    def values(self, service: str) -> dict[str, str]:
        """Return the active values of a service."""
        one = self._service(service)
        return dict(one.values[one.active])

    def state(self, service: str, version: int) -> str:
        """Return the state of a version."""
        return self._service(service).states.get(version, "retired")

    def holders(self, service: str) -> set[str]:
        """Return the instances that hold a service's secrets."""
        return set(self._service(service).holders)

    def acknowledged(self, service: str, version: int, phase: str) -> set[str]:
        """Return the instances that have acknowledged this version, or a later one."""
        one = self._service(service)
        acks = one.accepts if phase == "accepts" else one.uses
        return {instance for instance, known in acks.items() if known >= version}

    def stage(self, service: str, **values: str) -> FakeRotation:
        """Stage a version; what is not given is made."""
        with self._lock:
            one = self._service(service)
            version = max(one.values) + 1
            kept = (
                {"DATA_KEY": one.values[one.active]["DATA_KEY"]}
                if "DATA_KEY" in one.values[one.active]
                else {}
            )
            one.values[version] = {
                **{name: secrets.token_urlsafe(32) for name in one.values[one.active]},
                **kept,
                **values,
            }
            one.states[version] = "staged"
        self._say("secret.staged", service, version)
        return FakeRotation(self, service, version)

    def activate(self, service: str, version: int) -> None:
        """Activate a staged version."""
        with self._lock:
            one = self._service(service)
            one.states[one.active] = "draining"
            one.states[version] = "active"
        self._say("secret.rotated", service, version)

    def retire(self, service: str) -> None:
        """Retire what drains."""
        with self._lock:
            one = self._service(service)
            draining = [version for version, state in one.states.items() if state == "draining"]
            for version in draining:
                del one.states[version]
        for version in draining:
            self._say("secret.retired", service, version)

    def destroy(self, service: str, version: int) -> None:
        """Erase the values of a version that is honoured no more."""
        with self._lock:
            one = self._service(service)
            assert version not in one.states, "a version that is honoured is not destroyed"  # noqa: S101
            one.values[version] = {}

    def rotate(self, service: str, *, seconds: float = 5.0, **values: str) -> FakeRotation:
        """Rotate as the real one does: returns when every holder has confirmed, with the version before still
        draining.

        It waits in this thread, for a service that runs in another; a test in the service's own loop uses
        `stage`.

        Raises:
            AssertionError: a holder has not confirmed within these seconds.
        """
        rotation = self.stage(service, **values)
        self._wait(lambda: rotation.accepted_by >= self.holders(service), "every holder accepts", seconds)
        rotation.activate()
        self._wait(lambda: rotation.used_by >= self.holders(service), "every holder uses", seconds)
        return rotation

    def restore(self) -> None:
        """Begin a new epoch, as a restored backup does."""
        self.epoch = secrets.token_hex(4)

    @staticmethod
    def _wait(true: Callable[[], bool], what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds} s in vain: {what}")
            time.sleep(0.005)

    # --- what a service sees ----------------------------------------------------------------------------

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        """Return a request."""
        if self.down:
            raise httpx2.ConnectError("connection refused", request=request)
        path = request.url.path
        self.requests.append((request.method, path))
        if path == "/auth/token":
            return self._token(
                {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
            )
        if path == "/.well-known/jwks.json":
            return httpx2.Response(200, json=self._tokens.jwks())
        if path == "/.well-known/revocations":
            return httpx2.Response(200, json={"issued_at": time.time(), "revocations": self.revocations})
        parts = path.strip("/").split("/")
        subject = self._tokens.subject_of(request.headers.get("authorization"))
        if subject is None:
            return httpx2.Response(401, json={"detail": "the fake wants a token"})
        if parts[0] != "secrets" or len(parts) < 2:
            return httpx2.Response(404, json={"detail": "the fake has no such thing"})
        with self._lock:
            return self._secrets(request, parts, request.headers.get("x-fountain-instance", ""))

    def _token(self, form: dict[str, str]) -> httpx2.Response:
        subject = self.keys.get(form.get("client_secret", ""))
        if subject is None:
            return httpx2.Response(401, json={"error": "invalid_client"})
        audience: Any = form.get("resource") or ["secrets-manager", "notification", "gateway-lookup"]
        key = form["client_secret"]
        if "subject_token" in form:
            key = form["subject_token"]
            if key not in self.keys or subject not in self.audiences[key]:
                return httpx2.Response(400, json={"error": "invalid_grant"})
            subject, audience = self.keys[key], subject
        roles = self.roles.get(subject, ["service"])
        token = self._tokens.token(subject, roles, audience, kid_api=key.split("_")[1])
        return httpx2.Response(
            200, json={"access_token": token, "token_type": "Bearer", "expires_in": LIFE_SECONDS}
        )

    def _secrets(self, request: httpx2.Request, parts: list[str], instance: str) -> httpx2.Response:
        one = self._service(parts[1])
        if request.method == "GET" and len(parts) == 2:
            if "version" in request.url.params:
                return self._read_version(one, parts[1], int(request.url.params["version"]))
            return self._read(one, parts[1], instance, request.headers.get("if-none-match"))
        if request.method == "POST" and parts[-1] == "ack":
            phase, version = orjson.loads(request.content)["phase"], int(parts[3])
            if instance not in one.holders or (phase == "uses" and one.states.get(version) == "staged"):
                return httpx2.Response(409, json={"detail": "not a holder, or not to be used yet"})
            if version not in one.states:
                return httpx2.Response(404, json={"detail": "no such version"})
            acks = one.accepts if phase == "accepts" else one.uses
            acks[instance] = max(version, acks.get(instance, 0))
            return httpx2.Response(200, json={"service_name": parts[1], "version": version, "phase": phase})
        if request.method == "DELETE" and parts[2] == "holders":
            one.holders.discard(parts[3])
            return httpx2.Response(204)
        return httpx2.Response(404, json={"detail": "the fake has no such thing"})

    def _read(self, one: _Service, name: str, instance: str, known: str | None) -> httpx2.Response:
        if instance and instance not in one.holders:
            one.holders.add(instance)
            known = None
        versions = [
            {"version": version, "state": state, "secrets": one.values[version]}
            for version, state in one.states.items()
        ]
        body = {
            "service_name": name,
            "version": one.active,
            "secrets": one.values[one.active],
            "versions": versions,
            "epoch": self.epoch,
        }
        etag = f'"{sha256(orjson.dumps([self.epoch, sorted(one.states.items())])).hexdigest()[:16]}"'
        if known == etag:
            return httpx2.Response(304, headers={"ETag": etag})
        return httpx2.Response(200, json=body, headers={"ETag": etag})

    @staticmethod
    def _read_version(one: _Service, name: str, version: int) -> httpx2.Response:
        if version not in one.values:
            return httpx2.Response(404, json={"detail": "no such version"})
        if not one.values[version]:
            return httpx2.Response(410, json={"detail": "destroyed"})
        state = one.states.get(version, "retired")
        body = {
            "service_name": name,
            "version": version,
            "state": state,
            "secrets": one.values[version],
        }
        return httpx2.Response(200, json=body)

    def _service(self, name: str) -> _Service:
        with self._lock:
            if name not in self._services:
                first = {key: secrets.token_urlsafe(32) for key in ("JWT_SECRET", "DB_PASSWORD")}
                first["DATA_KEY"] = secrets.token_urlsafe(32) + "="
                self._services[name] = _Service({1: first}, {1: "active"})
            return self._services[name]

    def _say(self, type_: str, service: str, version: int) -> None:
        self._emit(
            type_,
            service,
            {"service_name": service, "version": version, "rotation_id": f"{service}-{version}"},
        )
