"""Somebody answers in the Secrets Manager's place, and gets no byte of any key of the platform."""

from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from fountain_cli.stack import ComposeStack, LocalStack
from fountain_common.fakes.impostor import Impostor, pieces
from leaks import keys
from polling import poll_until
from steward import CONSUMER, Replica, Steward

NAME = "secrets-manager"
TRIES = 3


def betrayed(impostor: Impostor, stack: LocalStack | ComposeStack) -> list[str]:
    """The keys of which he has got a piece."""
    got = bytes(impostor.wire + impostor.heard)
    api_keys = {name: key for name, key in keys(stack).items() if key.startswith("fnt_")}
    assert len(api_keys) > 3
    return [name for name, key in api_keys.items() if any(piece in got for piece in pieces(key))]


def test_nobody_has_the_secrets_manager_looked_up_elsewhere(steward: Steward, stack: Any) -> None:
    """By a static entry, by a registration: neither an administrator nor a service is obeyed."""
    with Impostor() as impostor:
        entry = {"url": impostor.url}
        answers = [
            steward.ask("POST", "gateway-lookup", "/registry", json={"service_name": NAME, **entry}),
            steward.ask("PUT", "gateway-lookup", f"/registry/{NAME}", json=entry),
            steward.ask("DELETE", "gateway-lookup", f"/registry/{NAME}"),
        ]
        inside = httpx2.Client(base_url=stack.address("gateway-lookup"), timeout=10)
        for token in (steward.token("gateway-lookup"), consumers_token(stack)):
            headers = {"Authorization": f"Bearer {token}"}
            lease = {"port": impostor.port, "scheme": "https", "generation": 2**62}
            path = f"/registry/{NAME}/instances/{'1' * 32}"
            answers.append(inside.put(path, headers=headers, json=lease))
        assert [answer.status_code for answer in answers if answer.is_success] == [], answers
        found = inside.get(f"/lookup/{NAME}").json()
        assert f":{impostor.port}" not in str(found)
        inside.close()
        assert (impostor.callers, betrayed(impostor, stack)) == (0, [])


def consumers_key(stack: LocalStack | ComposeStack) -> str:
    """The key of a service of a team."""
    [key] = [key for name, key in keys(stack).items() if f"/{CONSUMER}/" in f"/{name}"]
    return key


def consumers_token(stack: LocalStack | ComposeStack) -> str:
    """A token that a service of a team got with its own key, from inside."""
    with httpx2.Client(base_url=stack.address(NAME), verify=False, timeout=10) as client:
        form = {"grant_type": "client_credentials", "client_secret": consumers_key(stack)}
        answer = client.post("/auth/token", data=form, extensions={"sni_hostname": NAME})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


@pytest.mark.parametrize("name", [NAME, None], ids=["with a certificate of his own", "without encryption"])
def test_at_the_very_address_of_the_secrets_manager_he_gets_no_key(
    steward: Steward, stack: Any, replicas: list[Replica], name: str | None
) -> None:
    """He is asked by the services that run, and by one that starts and has nothing yet but its key."""
    if not isinstance(stack, LocalStack):
        pytest.skip("an address inside the network of containers cannot be taken from outside")
    port = urlsplit(stack.address(NAME)).port
    stack.halt(NAME)
    try:
        with Impostor(name, port or 0) as impostor:
            stack.kill(CONSUMER)
            key = stack.admin_key()
            replicas[1].client.get("/status", headers={"X-API-Key": key})
            before = impostor.callers
            poll_until(lambda: impostor.callers >= before + TRIES, "he is asked again and again", 60)
            assert betrayed(impostor, stack) == []
            assert replicas[1].client.get("/health").status_code == 200
    finally:
        stack.resume(NAME)
        stack.wait_healthy(NAME)
        stack.wait_healthy(CONSUMER)
    poll_until(replicas[0].status, "the one that started is there after all")
