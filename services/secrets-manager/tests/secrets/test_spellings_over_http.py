"""However a name is spelled, it reaches its own secret or none."""

from typing import Any
from urllib.parse import quote, unquote

import pytest
from secrets_world import SERVICE, World

pytestmark = pytest.mark.anyio


async def answer_to_path(sm: World, path: str, token: str) -> tuple[int, str]:
    """What is answered to a path exactly as it stands here: a client would take its dots away."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": quote(path, safe="/%.;").encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"sm"), (b"authorization", f"Bearer {token}".encode())],
        "server": ("sm", 80),
        "client": ("127.0.0.1", 1),
    }
    sent: list[Any] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await sm.app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], body.decode()


@pytest.mark.parametrize("token", [f"{SERVICE}:service", "admin:admin"])
@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("..", 422),
        (".", 422),
        ("%2e%2e", 422),
        ("../secrets/notification", 404),
        ("./notification", 404),
        ("x/../notification", 404),
        ("%2e%2e%2fsecrets%2fnotification", 404),
        ("a%2fb", 404),
        ("notification/", 404),
        ("NOTIFICATION", 422),
        ("Notification", 422),
        ("notification%00", 422),
        ("notification%20", 422),
        ("notification%0a", 422),
        ("notification%C3", 422),
        ("notification.", 422),
        ("notification;version=1", 422),
        ("n%6ftific%61tio%C5%84", 422),
        # What the compatibility forms of Unicode, or its folding of case, make the name of:
        (
            "\uff4e\uff4f\uff54\uff49\uff46\uff49\uff43\uff41\uff54\uff49\uff4f\uff4e",
            422,
        ),  # full-width letters
        ("noti\ufb01cation", 422),  # the ligature fi
        ("\N{KELVIN SIGN}ey", 422),
        ("\N{LATIN SMALL LETTER LONG S}hop", 422),
        ("two\N{FULLWIDTH HYPHEN-MINUS}factor", 422),
        ("two\N{NON-BREAKING HYPHEN}factor", 422),
        ("two\N{FULLWIDTH LOW LINE}factor", 422),
        # What looks like it, or is it under a mark or beside what is not shown:
        ("notific\N{CYRILLIC SMALL LETTER A}tion", 422),
        ("notificat\N{LATIN SMALL LETTER DOTLESS I}on", 422),
        ("notification\N{COMBINING ACUTE ACCENT}", 422),
        ("n\N{COMBINING TILDE}otification", 422),
        ("notification\N{ZERO WIDTH SPACE}", 422),
        ("notification\N{SOFT HYPHEN}", 422),
        ("\N{ZERO WIDTH NO-BREAK SPACE}notification", 422),
        ("\N{ARABIC-INDIC DIGIT ONE}", 422),
    ],
)
async def test_no_other_spelling_of_a_name_reaches_a_secret(
    sm: World, name: str, status: int, token: str
) -> None:
    for other in ("key", "shop", "two-factor", "1"):
        await sm.create(other)
    answered, said = await answer_to_path(sm, f"/secrets/{name}", token)
    assert (answered, "JWT_SECRET" in said) == (status, False), said


async def test_the_path_of_a_secret_as_it_is_sent_reaches_it(sm: World) -> None:
    for path in (f"/secrets/{SERVICE}", "/secrets/notif%69cation"):
        answered, said = await answer_to_path(sm, path, f"{SERVICE}:service")
        assert (answered, "JWT_SECRET" in said) == (200, True)


async def test_an_underscore_is_a_hyphen(sm: World) -> None:
    await sm.create("two-factor")
    assert (await sm.as_("two-factor:service").get("/secrets/two_factor")).json()[
        "service_name"
    ] == "two-factor"
