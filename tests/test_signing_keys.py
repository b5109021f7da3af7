"""The key that signs tokens is replaced in an emergency: every token from before is void, everywhere."""

from instances import Instance
from polling import poll_until
from steward import Steward
from stores import is_well
from test_machine import works

SOON_SECONDS = 5.0
"""One is promised; a busy machine may take longer. Far less than the thirty between two fetches."""


def nothing_waits_to_be_told(instances: list[Instance]) -> bool:
    """Whoever could not tell of something for long tries again after as long."""
    said = [one.ask("GET", "/metrics") for one in instances if one.service == "secrets-manager"]
    return [answer for answer in said if "\nfountain_outbox_waiting 0.0\n" not in answer.text] == []


def are_refused(tokens: dict[str, str], instances: list[Instance]) -> bool:
    left = [one for one in instances if one.honours(tokens[one.service])]
    assert left == [], left
    return True


def all_are_well(steward: Steward, instances: list[Instance]) -> bool:
    """By themselves, and through the edge, which makes some certificates when they are first needed."""
    said = [
        answer
        for one in instances
        for answer in (one.ask("GET", "/health"), steward.at(one.service).get("/health"))
    ]
    return all(map(is_well, said))


def test_an_emergency_voids_every_token_at_every_instance_and_the_platform_goes_on(
    steward: Steward, instances: list[Instance]
) -> None:
    poll_until(lambda: all_are_well(steward, instances), "all are well, and hear of events")
    poll_until(lambda: nothing_waits_to_be_told(instances), "what happened earlier has been told")
    before = {one.service: steward.token(one.service) for one in instances}
    assert [one for one in instances if not one.honours(before[one.service])] == []
    rotated = steward.manager("POST", "/signing-keys/rotate", json={"emergency": True})
    steward.forget_tokens()
    assert rotated["emergency"]
    # No new token is shown until then: an unknown key is fetched, without any event.
    poll_until(
        lambda: are_refused(before, instances),
        "the tokens from before are refused everywhere",
        SOON_SECONDS,
    )
    assert [one for one in instances if not one.honours(steward.token(one.service))] == []
    works(steward)
    poll_until(lambda: all_are_well(steward, instances), "all are well again")
