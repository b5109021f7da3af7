"""Who may call a service."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from fountain_common.app import create_service
from fountain_common.auth import Caller, requires
from fountain_common.error_handlers import install
from fountain_common.roles import Permission
from fountain_common.settings import ServiceSettings
from fountain_common.testing import ServiceClient, service_client, token_for, wait_until

router = APIRouter()


@router.get("/whoami", summary="Say who is calling")
async def who_am_i(caller: Annotated[Caller, requires()]) -> dict[str, Any]:
    """Say who is calling."""
    return {"subject": caller.subject, "roles": caller.roles}


@router.get("/audit/{number}", summary="Look", dependencies=[requires(Permission.AUDIT_READ)])
async def get_audit(number: int) -> dict[str, int]:
    """Look."""
    return {"number": number}


@router.post("/links", summary="Make", dependencies=[requires("links:create", Permission.EVENTS_PUBLISH)])
async def create_link() -> dict[str, str]:
    """Make."""
    return {}


@pytest.fixture
def client(settings: ServiceSettings) -> Iterator[ServiceClient]:
    app = create_service(
        settings, title="Orders", description="Takes orders.", version="1.0.0", routers=[router]
    )
    with service_client(app, roles=None) as client:
        yield client


def test_without_a_credential_the_answer_is_a_challenge(client: ServiceClient) -> None:
    answer = client.get("/whoami")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="orders"'
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "header", ["Basic YTpi", "Bearer", "Bearer ", "bearer x y", "Token abc", "", "Bearer é"]
)
def test_another_scheme_is_no_credential(client: ServiceClient, header: str) -> None:
    assert client.get("/whoami", headers={"Authorization": header.encode()}).status_code == 401


def test_a_token_says_who_is_calling(client: ServiceClient) -> None:
    answer = client.get("/whoami", headers=client.bearer("bob", ["viewer", "auditor"]))
    assert answer.json() == {"subject": "bob", "roles": ["viewer", "auditor"]}


def test_a_token_for_another_service_is_refused(client: ServiceClient) -> None:
    headers = {"Authorization": f"Bearer {token_for('bob', ['admin'], 'example-consumer')}"}
    answer = client.get("/whoami", headers=headers)
    assert answer.status_code == 401
    assert "resource=orders" in answer.json()["detail"]
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_a_denial_names_the_permission_and_the_roles_and_not_whether_the_thing_exists(
    client: ServiceClient,
) -> None:
    one, other = (
        client.get(f"/audit/{number}", headers=client.bearer("bob", ["viewer"])) for number in (1, 2)
    )
    assert one.status_code == other.status_code == 403
    assert (one.json()["permission"], one.json()["roles"]) == ("audit:read", ["viewer"])
    assert one.json()["detail"] == other.json()["detail"]


def test_who_is_not_allowed_learns_nothing_about_what_would_be_valid(client: ServiceClient) -> None:
    assert client.get("/audit/not-a-number", headers=client.bearer("bob", ["viewer"])).status_code in {
        403,
        422,
    }
    assert client.get("/audit/1", headers=client.bearer("ann", ["auditor"])).json() == {"number": 1}


def test_all_permissions_that_are_named_are_needed(client: ServiceClient) -> None:
    assert (
        client.post("/links", headers=client.bearer("bob", ["viewer"])).json()["permission"] == "links:create"
    )
    assert client.post("/links", headers=client.bearer("shop", ["service"])).status_code == 200


def test_a_token_without_roles_may_nothing_that_needs_one(client: ServiceClient) -> None:
    assert client.get("/audit/1", headers=client.bearer("bob", [])).status_code == 403
    assert client.get("/whoami", headers=client.bearer("bob", [])).status_code == 200


def test_a_key_made_for_this_service_is_honoured(client: ServiceClient) -> None:
    key = client.world.secrets_manager.new_key("robot", ("orders",), ("viewer",))
    assert client.get("/whoami", headers={"X-API-Key": key}).json() == {
        "subject": "robot",
        "roles": ["viewer"],
    }
    before = len(client.world.secrets_manager.requests)
    assert client.get("/whoami", headers={"X-API-Key": key}).status_code == 200
    assert len(client.world.secrets_manager.requests) == before


@pytest.mark.parametrize("audiences", [(), ("stories",)])
def test_an_unrestricted_key_or_one_for_another_service_is_refused(
    client: ServiceClient, audiences: tuple[str, ...]
) -> None:
    key = client.world.secrets_manager.new_key("robot", audiences, ("admin",))
    answer = client.get("/whoami", headers={"X-API-Key": key})
    assert answer.status_code == 401
    assert key not in answer.text


def test_two_credentials_at_once_are_refused(client: ServiceClient) -> None:
    bearer, key = ("Authorization", client.bearer()["Authorization"]), ("X-API-Key", "fnt_x")
    assert client.get("/whoami", headers=[bearer]).status_code == 200  # known from here on
    for headers in ([bearer, key], [bearer, bearer], [bearer, ("authorization", "Basic x")], [key, key]):
        assert client.get("/whoami", headers=headers).status_code == 400


@pytest.mark.parametrize("name", ["access_token", "api_key"])
def test_a_credential_in_the_url_is_refused(client: ServiceClient, name: str) -> None:
    answer = client.get(f"/whoami?{name}=abcdef", headers=client.bearer())
    assert answer.status_code == 400
    assert "abcdef" not in answer.text


def wait_for_what_is_fetched_without_events(client: ServiceClient) -> None:
    """Return when keys and revocations have been fetched for the second time, a second after the start; the
    third comes later than any test waits.
    """
    asked = client.world.secrets_manager.requests
    wait_until(
        lambda: all(
            asked.count(("GET", f"/.well-known/{name}")) > 1 for name in ("jwks.json", "revocations")
        ),
        "keys and revocations are fetched again",
    )


def test_a_revocation_is_honoured_at_once_by_event(client: ServiceClient) -> None:
    wait_for_what_is_fetched_without_events(client)
    headers = client.bearer("eve", ["admin"])
    assert client.get("/whoami", headers=headers).status_code == 200
    client.world.secrets_manager.revoke(subject="eve")
    wait_until(lambda: client.get("/whoami", headers=headers).status_code == 401, "the token is refused")
    assert client.get("/whoami", headers=client.bearer("bob")).status_code == 200


def test_with_the_secrets_manager_away_tokens_are_honoured_and_unknown_keys_are_a_503(
    client: ServiceClient,
) -> None:
    key = client.world.secrets_manager.new_key("robot", ("orders",))
    client.world.secrets_manager.down = True
    assert client.get("/whoami", headers=client.bearer("bob")).status_code == 200
    assert client.get("/whoami", headers={"X-API-Key": key}).status_code == 503


def test_after_an_emergency_rotation_of_the_signing_key_a_right_key_is_honoured(
    client: ServiceClient,
) -> None:
    key = client.world.secrets_manager.new_key("robot", ("orders",), ("viewer",))
    assert client.get("/whoami", headers={"X-API-Key": key}).status_code == 200
    client.world.tokens.key = Ed25519PrivateKey.generate()
    client.world.notification.emit("signing-key.rotated", data={"emergency": True})
    headers = client.bearer("bob")
    wait_until(lambda: client.get("/whoami", headers=headers).status_code == 200, "the new key is known")
    assert client.get("/whoami", headers={"X-API-Key": key}).status_code == 200


def test_an_old_token_is_refused_soon_after_an_emergency_rotation_of_the_signing_key(
    client: ServiceClient,
) -> None:
    wait_for_what_is_fetched_without_events(client)
    headers = client.bearer("bob")
    assert client.get("/whoami", headers=headers).status_code == 200
    client.world.tokens.key = Ed25519PrivateKey.generate()
    client.world.notification.emit("signing-key.rotated", data={"emergency": True})
    # No token of the new key is shown meanwhile: an unknown key would be fetched without any event.
    wait_until(lambda: client.get("/whoami", headers=headers).status_code == 401, "the token is refused")
    assert client.get("/whoami", headers=client.bearer("bob")).status_code == 200


def test_an_exchanged_token_that_is_refused_is_exchanged_once_more(client: ServiceClient) -> None:
    manager = client.world.secrets_manager
    key = manager.new_key("robot", ("orders",), ("viewer",))
    api_keys = client.app.state.platform.api_keys  # type: ignore[attr-defined]
    assert client.get("/whoami", headers={"X-API-Key": key}).status_code == 200
    name = next(iter(api_keys._tokens))
    api_keys._tokens[name] = ("a token that is not honoured any more", float("inf"))
    assert client.get("/whoami", headers={"X-API-Key": key}).status_code == 200


def test_a_key_shown_through_the_edge_is_exchanged_as_such(client: ServiceClient) -> None:
    manager = client.world.secrets_manager
    key = manager.new_key("robot", ("orders",), ("viewer",))
    forms: list[bytes] = []
    real = manager.handle

    def noted(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/auth/token":
            forms.append(request.content)
        return real(request)

    manager.handle = noted  # type: ignore[method-assign]
    assert client.get("/whoami", headers={"X-API-Key": key}).status_code == 200
    assert client.get("/whoami", headers={"X-API-Key": key, "X-Fountain-Edge": "1"}).status_code == 200
    assert [b"through_edge=true" in form for form in forms if b"subject_token" in form] == [False, True]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "Bearer  "])
def test_a_scheme_may_be_spelled_in_any_way_before_and_after_a_token_is_known(
    client: ServiceClient, scheme: str
) -> None:
    token = client.bearer("bob")["Authorization"].removeprefix("Bearer ")
    for _ in range(2):
        answer = client.get("/whoami", headers={"Authorization": f"{scheme} {token}"})
        assert answer.json() == {"subject": "bob", "roles": ["admin"]}
    for other in (f"Basic {token}", f"Bearer\t{token}", f"Bearer{token}", token, f"Token {token}"):
        assert client.get("/whoami", headers={"Authorization": other}).status_code == 401


def test_a_token_that_is_known_is_recognised_without_being_verified(
    client: ServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = client.bearer("bob", ["viewer"])
    assert client.get("/whoami", headers=headers).status_code == 200

    async def unexpected(_request: Any) -> Caller:
        raise AssertionError

    monkeypatch.setattr("fountain_common.auth._judge", unexpected)
    assert client.get("/whoami", headers=headers).json() == {"subject": "bob", "roles": ["viewer"]}
    assert client.get("/audit/1", headers=headers).json()["permission"] == "audit:read"


def _in_a_copy(scope: Any, others: list[tuple[bytes, bytes]]) -> Any:
    return {**scope, "headers": others}


def _in_place(scope: Any, others: list[tuple[bytes, bytes]]) -> Any:
    scope["headers"][:] = others
    return scope


@pytest.mark.parametrize("change", [_in_a_copy, _in_place])
@pytest.mark.parametrize("put", ["", "ann"])
def test_what_a_services_own_middleware_takes_away_counts_no_more(
    client: ServiceClient, change: Callable[[Any, list[tuple[bytes, bytes]]], Any], put: str
) -> None:
    headers, other = client.bearer("bob"), client.bearer(put)["Authorization"].encode()
    assert client.get("/whoami", headers=headers).status_code == 200
    app, stack = client.app, client.app.middleware_stack

    class Changes:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            others = [header for header in scope.get("headers", []) if header[0] != b"authorization"]
            if put:
                others.append((b"authorization", other))
            await self._inner(change(scope, others), receive, send)

    app.middleware_stack = None
    app.add_middleware(Changes)
    try:
        answer = client.get("/whoami", headers=headers)
    finally:
        app.middleware_stack = stack
    assert (answer.status_code, answer.json().get("subject")) == ((200, put) if put else (401, None))


def test_a_known_token_beside_another_credential_is_refused_all_the_same(client: ServiceClient) -> None:
    headers = client.bearer("bob")
    assert client.get("/whoami", headers=headers).status_code == 200
    for key in ("fnt_x", ""):
        assert client.get("/whoami", headers={**headers, "X-API-Key": key}).status_code == 400
    assert client.get(f"/whoami?token={headers['Authorization'][7:]}", headers=headers).status_code == 400


def test_of_two_tokens_neither_counts_whether_it_is_known_or_not(client: ServiceClient) -> None:
    ann, bob, unknown = client.bearer("ann"), client.bearer("bob"), {"Authorization": "Bearer unknown"}

    def asked(*credentials: dict[str, str]) -> httpx2.Response:
        return client.get("/whoami", headers=[pair for each in credentials for pair in each.items()])

    for _ in range(2):
        assert {asked(one).json()["subject"] for one in (ann, bob)} == {"ann", "bob"}
        for two in ((ann, bob), (bob, bob), (bob, unknown), (unknown, bob)):
            assert asked(*two).status_code == 400


def test_a_known_token_that_expires_is_refused(
    client: ServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = client.bearer("bob")
    assert client.get("/whoami", headers=headers).status_code == 200
    verifier = client.app.state.platform.verifier  # type: ignore[attr-defined]
    (caller,) = verifier._verified.values()
    monkeypatch.setattr(verifier, "_clock", lambda: caller.expires_at + 3600)
    assert client.get("/whoami", headers=headers).status_code == 401
    assert not verifier._verified


@pytest.mark.parametrize("claims", [{"aud": ["stories"]}, {"iss": "https://elsewhere"}, {"exp": 1}])
def test_what_was_refused_is_refused_again(client: ServiceClient, claims: dict[str, Any]) -> None:
    headers = client.bearer("bob", **claims)
    for _ in range(2):
        assert client.get("/whoami", headers=headers).status_code == 401


def test_without_the_layer_callers_are_known_too(settings: ServiceSettings, client: ServiceClient) -> None:
    bare = FastAPI()
    bare.include_router(router)
    install(bare)
    bare.state.platform = client.app.state.platform  # type: ignore[attr-defined]
    headers = client.bearer("bob", ["viewer"])
    within = TestClient(bare)
    for _ in range(2):
        assert within.get("/whoami", headers=headers).json() == {"subject": "bob", "roles": ["viewer"]}
        assert within.get("/audit/1", headers=headers).status_code == 403
        assert within.get("/whoami", headers={**headers, "X-API-Key": "fnt_x"}).status_code == 400
        assert within.get("/whoami").status_code == 401
