"""Names: which get a certificate, and where each leads."""

import httpx2
import pytest
from conftest import World
from edge import DOMAIN, SITES


@pytest.mark.parametrize(("host", "name"), SITES.items())
def test_every_name_has_a_certificate_and_its_service(world: World, host: str, name: str) -> None:
    answer = world.edge.get(host)
    assert answer.status_code == 200
    assert answer.headers["x-from"] == name


def test_an_unknown_name_gets_the_gateways_own_page(world: World) -> None:
    answer = world.edge.get(f"nobody.{DOMAIN}")
    assert answer.status_code == 404
    assert "No service is reached here" in answer.text
    assert answer.headers["strict-transport-security"]


def test_a_name_that_the_gateway_refuses_gets_no_certificate(world: World) -> None:
    world.denied.add(f"denied.{DOMAIN}")
    with pytest.raises(httpx2.ConnectError):
        world.edge.get(f"denied.{DOMAIN}")


def test_a_redirect_in_the_place_of_a_word_gets_no_certificate(world: World) -> None:
    world.moved.add(f"moved.{DOMAIN}")
    with pytest.raises(httpx2.ConnectError):
        world.edge.get(f"moved.{DOMAIN}")
    assert [seen.path for seen in world.gateway.seen if "elsewhere" in seen.path] == []


def test_two_labels_below_the_domain_get_no_certificate(world: World) -> None:
    with pytest.raises(httpx2.ConnectError):
        world.edge.get(f"a.b.{DOMAIN}")
