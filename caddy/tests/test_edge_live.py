"""What clients see at every site: the redirect, the limit, the headers; and what the log keeps of them."""

import httpx2
import pytest
from conftest import World
from edge import DOMAIN, SITES, until
from fountain_common.ports import free_port


def test_the_redirect_to_https_names_the_port_that_clients_use(world: World) -> None:
    headers = {"Host": f"shop.{DOMAIN}:{world.edge.http_port}"}
    answer = httpx2.post(f"http://127.0.0.1:{world.edge.http_port}/a/b?c=d", headers=headers, trust_env=False)
    assert answer.status_code == 308
    assert answer.headers["location"] == f"https://shop.{DOMAIN}:{world.edge.https_port}/a/b?c=d"


def test_a_body_over_one_megabyte_is_refused(world: World) -> None:
    answer = world.edge.request("POST", f"shop.{DOMAIN}", "/", content=b"x" * (1024 * 1024 + 1))
    assert answer.status_code == 413


def test_the_edges_own_refusals_say_what_is_wrong(world: World) -> None:
    away = f"away.{DOMAIN}"
    world.routes["away"] = (free_port(),)
    answers = [
        world.edge.get(f"shop.{DOMAIN}", "/metrics"),
        world.edge.request("POST", f"shop.{DOMAIN}", "/", content=b"x" * (1024 * 1024 + 1)),
        world.edge.request("POST", away, "/"),
    ]
    said = [
        (404, "Not Found", "The edge serves nothing at this path."),
        (413, "Request Entity Too Large", "The edge takes requests of up to 1 MB. Send less at once."),
        (502, "Bad Gateway", "The edge got no answer from this service. Try again in a moment."),
    ]
    for answer, (status, title, detail) in zip(answers, said, strict=True):
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem.pop("request_id")
        assert problem == {
            "type": "about:blank", "title": title, "status": status, "detail": detail, "instance": "",
        }  # fmt: skip


@pytest.mark.parametrize("host", SITES)
def test_security_headers_are_on_every_site(world: World, host: str) -> None:
    headers = world.edge.get(host).headers
    assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert not {"server", "via"} & headers.keys()
    assert "alt-svc" not in headers, "HTTP/3 would need a port that nobody publishes"


def test_the_portal_alone_may_call_services_from_a_browser(world: World) -> None:
    portal = f"https://{DOMAIN}:{world.edge.https_port}"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = world.edge.request(
        "OPTIONS", f"shop.{DOMAIN}", "/orders", headers={"Origin": portal, **asked}
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == portal
    assert "Authorization" in preflight.headers["access-control-allow-headers"]
    assert (
        world.edge.get(f"shop.{DOMAIN}", headers={"Origin": portal}).headers["access-control-allow-origin"]
        == portal
    )
    for stranger in (
        "https://evil.example",
        f"https://shop.{DOMAIN}:{world.edge.https_port}",
        f"https://{DOMAIN}.evil.example",
        "null",
    ):
        answer = world.edge.get(f"shop.{DOMAIN}", headers={"Origin": stranger})
        assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-credentials" not in preflight.headers


def test_the_log_keeps_no_credential(world: World) -> None:
    planted = {
        "Authorization": "Bearer canary-1",
        "X-API-Key": "canary-2",
        "Cookie": "s=canary-3",
        "X-Fountain-Lease": "canary-4",
        "Webhook-Signature": "v1,canary-5",
        "Referer": "https://x/?t=canary-6",
        "Proxy-Authorization": "Basic canary-7",
    }
    port = free_port()
    world.routes["gone"] = (port, port)
    for host in (f"shop.{DOMAIN}", f"secrets-manager.{DOMAIN}", f"gone.{DOMAIN}"):
        world.edge.get(host, "/links/canary-8?access_token=canary-9&q=canary-10", headers=planted)

    def logged() -> list[dict]:
        return [
            line for line in world.edge.access_log() if line["request"]["uri"] == "/links/REDACTED?REDACTED"
        ]

    until(lambda: len(logged()) >= 3, "it is logged")
    assert "canary" not in world.edge.log
    line = logged()[0]
    assert line["status"] == 200
