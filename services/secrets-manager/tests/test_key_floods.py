"""Floods of wrong keys: the right ones get in among them, and what is told stays little."""

import asyncio

import httpx2
import pytest
from fountain_common.requests import accept
from secrets_manager.token_requests import OAuthError, TokenRequest


def test_ten_thousand_wrong_keys_do_not_keep_the_right_one_out(running):
    right = running.key_of("notification")
    wrong = [running.ask_token(right[:-4] + f"{number:04d}") for number in range(40)]
    assert {answer.status_code for answer in wrong} == {401, 429}
    throttled = next(answer for answer in wrong if answer.status_code == 429)
    assert int(throttled.headers["retry-after"]) >= 1
    issuance = running.app.state.core.issuance

    addresses = [accept({}, f"203.0.113.{number}") for number in range(20)]

    async def refused(number):
        asked = TokenRequest("client_credentials", None, f"{right[:-4]}{number:04d}", ())
        with pytest.raises(OAuthError):
            await issuance.issue(asked, addresses[number % len(addresses)])

    async def flood():
        """Ten thousand from twenty addresses, a hundred at a time; the right one among them, from one."""
        honoured = 0
        for begin in range(0, 10_000, 100):
            asked = TokenRequest("client_credentials", None, right, ())
            wrong = (refused(number) for number in range(begin, begin + 100))
            *_, issued = await asyncio.gather(*wrong, issuance.issue(asked, addresses[0]))
            honoured += bool(issued.token)
        return honoured

    assert running.client.portal.call(flood) == 100
    assert running.ask_token(right).status_code == 200
    denied = running.client.get(
        "/audit",
        params={"action": "tokens:issue", "outcome": "denied", "limit": 500},
        headers=running.as_("admin"),
    ).json()["items"]
    assert len(denied) < 400  # ten an address at once, and then one in six seconds


def test_wrong_keys_that_come_together_from_several_addresses_slow_down_none_but_their_own(running):
    right = running.key_of("notification")

    async def ask(address, key):
        transport = httpx2.ASGITransport(running.app, client=(address, 1))
        async with httpx2.AsyncClient(transport=transport, base_url="https://secrets-manager") as client:
            form = {"grant_type": "client_credentials", "client_secret": key}
            return (await client.post("/auth/token", data=form)).status_code

    async def flood():
        wrong = [ask(f"203.0.113.{number % 8}", f"{right[:-4]}{number:04d}") for number in range(400)]
        some = [ask(f"203.0.113.{number}", right) for number in range(9)]
        return await asyncio.gather(
            *wrong[:200], *some, *wrong[200:], ask("203.0.113.99", right[:-4] + "zzzz")
        )

    statuses = running.client.portal.call(flood)
    assert statuses[200:209] == [200] * 9
    assert statuses[-1] == 401, "an address that has not failed before is told that the key is wrong"
    told = statuses.count(401) - 1
    assert 8 * 10 <= told <= 8 * 15  # ten an address at once, and one more in six seconds
    assert told + statuses.count(429) == 400


@pytest.mark.parametrize("stops", [True, False], ids=["at the stop", "once it is silent"])
def test_every_refusal_of_a_flood_is_counted_though_nothing_follows_it(start, settings, stops):
    running = start(settings)
    for _ in range(60):
        assert running.client.get("/secrets").status_code == 401
        assert running.ask_token("nothing").status_code in (401, 429)
    if stops:
        running.client.__exit__(None, None, None)
        running = start(settings)
    else:
        running.client.portal.call(lambda: running.app.state.core._report_refusals(silent_seconds=0.0))
    items = running.client.get(
        "/audit",
        params={"outcome": "denied", "caller": "unknown", "limit": 500},
        headers=running.as_("admin"),
    ).json()["items"]
    counted = dict.fromkeys(("tokens:issue", "GET /secrets", "requests:authenticate"), 0)
    for item in items:
        counted[item["action"]] += item["detail"].get("failures", 1)
    assert counted["tokens:issue"] == 60
    assert counted["GET /secrets"] + counted["requests:authenticate"] == 60
    assert counted["requests:authenticate"] > 40
    assert len(items) < 30
