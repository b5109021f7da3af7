"""`fountain status`, `services`, `lookup`: what runs, where, and how it is."""

from typing import Any

import httpx2
import typer

from fountain_cli.api import Api
from fountain_cli.arguments import Service
from fountain_cli.connection import connect
from fountain_cli.exits import FAILED, UNAVAILABLE, CommandError, leave
from fountain_cli.screen import AsJson, as_json, fields, say, table
from fountain_cli.teaching import command

_CORE = ("secrets-manager", "gateway-lookup", "notification", "example-consumer")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, examples=["fountain status"])(status)
    command(app, examples=["fountain services"])(services)
    command(app, examples=["fountain lookup notification"])(lookup)


def _health(api: Api, service: str) -> dict[str, Any]:
    try:
        answer = api.client(service).get("/health")
        found = answer.json()
    except (httpx2.HTTPError, ValueError):
        return {"service": service, "status": "unreachable"}
    # Where nothing answers behind the edge, its own problem has a `status` too, which is a number.
    if not isinstance(found, dict) or not isinstance(found.get("status"), str):
        return {"service": service, "status": "unreachable"}
    return {**found, "service": service}


def status(json: AsJson = False) -> None:
    """Show the health of every service.

    The exit status is 1 if one is not healthy. One that is degraded misses a peer and does its own job.
    """
    with connect() as api:
        names = [*_CORE]
        try:
            names += [one["service_name"] for one in api.pages("gateway-lookup", "/registry", limit=10_000)]
        except CommandError as missing:
            if missing.status != UNAVAILABLE:
                raise
            # Health is for everybody: that of the platform's own is shown all the same.
            say(f"Only the platform's own services are known: {missing}")
        found = [_health(api, name) for name in dict.fromkeys(names)]
    if json:
        as_json(found)
    else:
        rows = [
            (
                one["service"],
                one["status"],
                one.get("version"),
                _names(one.get("degraded")),
                _age(one.get("uptime_seconds")),
            )
            for one in found
        ]
        table(("service", "status", "version", "degraded by", "up"), rows, flexible=("degraded by",))
    if any(one["status"] != "healthy" for one in found):
        raise leave(FAILED)


def _names(degraded: object) -> str:
    return ", ".join(map(str, degraded)) if isinstance(degraded, list) else ""


def _age(seconds: object) -> str:
    if not isinstance(seconds, int | float):
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def services(json: AsJson = False) -> None:
    """List every service in the catalog and its instances."""
    with connect() as api:
        found = list(api.pages("gateway-lookup", "/registry", limit=10_000))
    if json:
        as_json(found)
        return
    rows = [
        (
            one["service_name"],
            each.get("version"),
            each.get("status"),
            each.get("url"),
            str(each.get("instance_id"))[:8],
        )
        for one in found
        for each in one.get("instances") or [one]
    ]
    table(("service", "version", "status", "address", "instance"), rows, flexible=("address",))


def lookup(service: Service, json: AsJson = False) -> None:
    """Say where a service is, and each of its instances."""
    with connect() as api:
        found = api.get("gateway-lookup", f"/lookup/{service}")
    if json:
        as_json(found)
        return
    fields({"service": found["service_name"], "url": found["url"]})
    rows = [
        (each["instance_id"], each["url"], each.get("version"), each["status"]) for each in found["instances"]
    ]
    table(("instance", "address", "version", "status"), rows, flexible=("address",))
