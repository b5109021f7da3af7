"""No secret and no key is anywhere but in the memory of those who need it and in the key volumes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fountain_cli.stack import ComposeStack, LocalStack
from fountain_cli.stack.layout import repository, services
from leaks import Needles, Place, key_places, keys, places
from steward import CONSUMER, Steward

PARTS = (*(service.name for service in services(repository())), "caddy")


def values_of(steward: Steward) -> Iterator[tuple[str, str]]:
    """Every value of every version of every secret that is held."""
    for listed in steward.manager("GET", "/secrets", params={"limit": 500})["items"]:
        name = listed["service_name"]
        for version in steward.manager("GET", f"/secrets/{name}")["versions"]:
            for key, value in version["secrets"].items():
                yield f"{name} {version['version']} {key}", value


@pytest.fixture(scope="module")
def needles(
    steward: Steward, stack: LocalStack | ComposeStack, tmp_path_factory: pytest.TempPathFactory
) -> Needles:
    """What must not be found, after it was used: a link signed, a rotation made, an API key shown."""
    found = dict(values_of(steward))
    steward.overlap(0)
    rotation = steward.rotate()
    signed = steward.ask("POST", CONSUMER, "/links", json={"target": "https://example.com/"})
    assert signed.status_code == 201, signed.text
    opened = steward.ask("GET", CONSUMER, f"/links/{signed.json()['token']}")
    assert opened.status_code == 307, opened.text
    steward.at(CONSUMER).get("/status", headers={"X-API-Key": steward.stack.admin_key()})
    steward.wait_for_state(rotation["rotation_id"], "retired")
    found |= (
        dict(values_of(steward))
        | keys(stack)
        | {
            "an access token": steward.token(CONSUMER),
            "a signed link": signed.json()["token"],
        }
    )
    return Needles(found, tmp_path_factory.mktemp("needles") / "patterns")


def test_the_search_finds_what_is_there(
    needles: Needles, stack: Any, tmp_path: Path, steward: Steward
) -> None:
    assert len(needles) >= 10
    planted = tmp_path / "planted"
    planted.write_text(f"before {steward.stack.admin_key()} after")
    assert needles.are_in(Place("a planted key", ("cat", str(planted))))
    for place in key_places(stack):
        assert needles.are_in(place), f"the search does not find the keys in the {place.name}"


def test_no_value_is_in_any_environment_file_or_image(needles: Needles, stack: Any) -> None:
    found = [place.name for place in places(stack) if needles.are_in(place)]
    assert found == []


@pytest.mark.parametrize("part", PARTS)
def test_no_value_is_in_any_log(needles: Needles, steward: Steward, part: str) -> None:
    logged = steward.stack.logs(part)
    assert logged, f"{part} has logged nothing: there was nothing to search"
    assert needles.in_text(logged) == []


def test_no_value_is_in_any_event(needles: Needles, steward: Steward) -> None:
    events = steward.events()
    assert events
    assert needles.in_text(json.dumps(events)) == []
