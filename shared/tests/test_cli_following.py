"""Following a rotation: to its end, and through an absence of the Secrets Manager."""

from collections.abc import Iterator

import httpx2
import pytest
from fountain_cli.api import Api
from fountain_cli.commands.rotations import followed
from fountain_cli.exits import NOT_FOUND, UNAVAILABLE, CommandError

ID = "0f5c1d4e-0000-4000-8000-000000000000"


def api(*answers: str | int | None) -> Api:
    """One whose rotation is in these states; a number is a status, None is no answer at all."""
    coming: Iterator[str | int | None] = iter(answers)

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/auth/token":
            return httpx2.Response(200, json={"access_token": "t", "expires_in": 900})
        found = next(coming)
        if found is None:
            raise httpx2.ConnectError("refused", request=request)
        if isinstance(found, int):
            return httpx2.Response(found, json={"detail": "no"})
        return httpx2.Response(200, json={"state": found})

    return Api(
        "fnt_x", lambda _: httpx2.Client(base_url="https://sm", transport=httpx2.MockTransport(answer))
    )


def test_an_absence_of_the_secrets_manager_does_not_end_it() -> None:
    seen = followed(api("staged", None, 503, "draining", None, "retired"), ID, timeout=30)
    assert [one["state"] for one in seen] == ["staged", "draining", "retired"]


def test_an_absence_that_outlasts_the_patience_ends_it_with_what_was_seen_last() -> None:
    assert [one["state"] for one in followed(api("staged", None), ID, timeout=0.01)] == ["staged"]


@pytest.mark.parametrize(("answers", "status"), [((None,), UNAVAILABLE), (("staged", 404), NOT_FOUND)])
def test_what_was_never_there_and_what_is_refused_ends_it(
    answers: tuple[str | int | None, ...], status: int
) -> None:
    with pytest.raises(CommandError) as raised:
        list(followed(api(*answers), ID, timeout=30))
    assert raised.value.status == status
