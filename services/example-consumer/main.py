"""Signed links: the smallest correct service, complete in one file. Copy it."""

import time
from typing import Annotated, Any

import jwt
from example_consumer.settings import Settings
from fastapi import BackgroundTasks, Path
from fastapi.responses import RedirectResponse
from fountain_common import (
    Event,
    Events,
    Gone,
    HeldVersion,
    NotFound,
    Peers,
    Problem,
    Secrets,
    StrictModel,
    Unavailable,
    Unprocessable,
    create_service,
    get_logger,
    load,
    problem_responses,
    requires,
    set_level,
)
from pydantic import BaseModel, Field, HttpUrl, UrlConstraints

settings = load(Settings)
app = create_service(
    settings,
    title="Example Consumer",
    description="Signs links and opens them again, with a key that rotates while both go on.",
    version="1.0.0",
)
secrets: Secrets = app.state.platform.secrets
events: Events = app.state.platform.events
peers: Peers = app.state.platform.peers
log = get_logger()


class NewLink(StrictModel):
    """A link to be signed."""

    target: Annotated[HttpUrl, UrlConstraints(allowed_schemes=["https"], max_length=2048)]
    ttl_seconds: int = Field(default=min(300, settings.link_seconds), ge=1, le=settings.link_seconds)


class Link(BaseModel):
    """A signed link."""

    token: str
    url: str


class Status(BaseModel):
    """What one instance holds; no values."""

    service_name: str
    instance_id: str
    version: int = Field(description="The active version: links are signed with it.")
    versions: list[HeldVersion]


class PeerHealth(BaseModel):
    """What a peer says about itself."""

    service_name: str
    status_code: int
    health: dict[str, Any]


@app.post(
    "/links", status_code=201, tags=["links"], summary="Sign a link", dependencies=[requires("links:write")]
)
async def create_link(body: NewLink, after: BackgroundTasks) -> Link:
    """Sign a link to an https page of an allowed host, with the active version of the key."""
    if body.target.host not in settings.link_hosts or body.target.username or body.target.password:
        raise Unprocessable(f"A link may lead to these hosts only: {', '.join(sorted(settings.link_hosts))}.")
    version, key = secrets.accepted("JWT_SECRET")[0]
    claims = {"to": str(body.target), "exp": int(time.time()) + body.ttl_seconds}
    token = jwt.encode(claims, key, "HS256", {"kid": str(version)})
    after.add_task(announce, str(body.target.host), version)
    return Link(token=token, url=f"{settings.public_url}/links/{token}")


async def announce(target: str, version: int) -> None:
    """Publish that a link was made, and the host that it leads to: the rest of its address is for those who
    have it. A link is good without this; what must not be lost takes an outbox.
    """
    try:
        await events.publish("link.created", settings.service_name, {"target": target, "version": version})
    except Problem as problem:
        log.warning("link_not_announced", reason=problem.detail)


@app.get(
    "/links/{token}",
    status_code=307,
    tags=["links"],
    summary="Open a link",
    response_class=RedirectResponse,
    responses=problem_responses(404, 410),
    dependencies=[requires("links:read")],
)
async def open_link(token: Annotated[str, Path(max_length=4096)]) -> RedirectResponse:
    """Lead to the target while the version that signed the link is staged, active or draining; then 410."""
    try:
        claims = jwt.decode(token, key_that_signed(token), ["HS256"], {"require": ["exp", "to"]})
    except jwt.ExpiredSignatureError:
        raise Gone("This link has expired. Ask for a new one.") from None
    except jwt.InvalidTokenError:
        raise NotFound(
            "This link is not valid. Check that it was copied whole, or ask for a new one."
        ) from None
    return RedirectResponse(claims["to"])


def key_that_signed(token: str) -> str:
    """Return the key of the version that a link names."""
    named = jwt.get_unverified_header(token).get("kid", "")
    for version, key in secrets.accepted("JWT_SECRET"):
        if named == str(version):
            return key
    if named.isdecimal() and int(named) < secrets.version:
        raise Gone("The version that signed this link is retired. Ask for a new link.")
    raise jwt.InvalidTokenError


@app.get(
    "/status",
    tags=["service"],
    summary="Tell what this instance holds",
    dependencies=[requires("status:read")],
)
async def get_consumer_status() -> Status:
    """Return which versions of the secrets this instance holds, their phase and since when; no values."""
    return Status(
        service_name=settings.service_name,
        instance_id=settings.instance_id,
        version=secrets.version,
        versions=secrets.report(),
    )


@app.get(
    "/peers/{serviceName}",
    tags=["peers"],
    summary="Ask how a peer is",
    responses=problem_responses(404, 503),
    dependencies=[requires("peers:read")],
)
async def get_peer_health(name: Annotated[str, Path(alias="serviceName")]) -> PeerHealth:
    """Find a peer by lookup, whatever its address, and answer its health."""
    response = await peers.get(name, "/health")
    try:
        return PeerHealth(service_name=name, status_code=response.status_code, health=response.json())
    except ValueError:
        raise Unavailable(
            f"{name} answered with something other than a health report. Look at its logs."
        ) from None


@events.on("config.updated")
async def follow_configuration(event: Event) -> None:
    """Change the log level of the running process: `{"log_level": "DEBUG"}`. What cannot be meant is logged
    and left: an event whose handler raises is delivered again, and this one would be no better then.
    """
    if event.subject not in (None, settings.service_name) or not isinstance(event.data, dict):
        return
    try:
        if "log_level" in event.data:
            set_level(event.data["log_level"])
    except ValueError as error:
        log.warning("configuration_ignored", reason=str(error))
