import pytest
from fountain_common.limits import BodyLimit, body_is_too_large, credential_in_url
from starlette.exceptions import HTTPException


@pytest.mark.parametrize(
    "query",
    [
        b"access_token=x",
        b"a=1&token=x",
        b"API_KEY=x",
        b"api%5Fkey=x",
        b"client_secret=",
        b"a=1;password=x",
        b"q=fnt_abcdefabcdef_xyz",
        b"next=%66nt_abcdefabcdef_xyz",
        b"q=eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJ4In0.sig",
        b"+token=x",
        b"token",
    ],
)
def test_a_credential_in_the_query_is_noticed(query: bytes) -> None:
    assert credential_in_url(query)


@pytest.mark.parametrize(("host", "path"), [(b"user:pw@host", "/"), (b"host", "http://user:pw@host/")])
def test_a_credential_in_the_address_is_noticed(host: bytes, path: str) -> None:
    assert credential_in_url(b"", host, path)


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"limit=50&cursor=abc",
        b"type=secret.*",
        b"q=tokens",
        b"token_type=x",
        b"\xff\xfe=%zz",
        b"version=3",
    ],
)
def test_other_queries_pass(query: bytes) -> None:
    assert not credential_in_url(query, b"orders.fountain.localhost:8443", "/users/a@b")


@pytest.mark.parametrize(
    ("announced", "too_large"),
    [(b"10", False), (b"11", True), (b"9" * 5000, True), (b"-1", False), (b"x", False)],
)
def test_an_announced_length_is_compared(announced: bytes, too_large: bool) -> None:
    assert body_is_too_large(announced, 10) is too_large


async def test_a_body_without_a_length_ends_at_the_limit() -> None:
    parts = [{"type": "http.request", "body": b"x" * 4, "more_body": True} for _ in range(3)]

    async def receive():
        return parts.pop()

    limited = BodyLimit(receive, 10)
    await limited()
    await limited()
    with pytest.raises(HTTPException) as refused:
        await limited()
    assert refused.value.status_code == 413
