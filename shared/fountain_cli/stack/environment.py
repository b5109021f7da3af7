"""The environment of each local process: nothing secret, only where things are."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from fountain_cli.stack.face import BadSetting
from fountain_cli.stack.layout import EDGE, Service
from fountain_cli.stack.ports import Ports

_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
_OURS = ("FOUNTAIN_PORT_", "FOUNTAIN_REPLICAS_", "FOUNTAIN_BUILD_")
_OF_THE_RUNTIME = {
    "FOUNTAIN_RUNTIME", "FOUNTAIN_STATE_DIR", "FOUNTAIN_HTTP_PORT", "FOUNTAIN_HTTPS_PORT", "FOUNTAIN_NETWORK",
    "FOUNTAIN_ROOT", "FOUNTAIN_SERVICES",
}  # fmt: skip


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a process takes over from the one who starts it: settings, and what every program needs."""
    return {
        name: value
        for name, value in environment.items()
        if name in _KEPT
        or name.startswith("OTEL_")
        or (name.startswith("FOUNTAIN_") and name not in _OF_THE_RUNTIME and not name.startswith(_OURS))
    }


def refuse_secrets(root: Path, environment: Mapping[str, str | None]) -> None:
    """Return if no secret stands in `.env`, nor in this environment: services would refuse to start.

    Raises:
        BadSetting: one does; the message says which, and where it goes.
    """
    from dotenv import dotenv_values
    from fountain_common.settings import misplaced_secrets  # takes a moment, which few commands need

    for file in (root / ".env", *sorted((root / "services").glob("*/.env"))):
        if sentences := misplaced_secrets(dotenv_values(file)):
            raise BadSetting("\n".join(f"In {file.relative_to(root)}: {sentence}" for sentence in sentences))
    if sentences := misplaced_secrets(environment):
        raise BadSetting("\n".join(sentences))


def reconciled(services: Iterable[Service]) -> str:
    """Return the services in the form of `FOUNTAIN_SERVICES`: `notification:DATA_KEY action`."""
    return " ".join(
        ":".join((service.name, *service.generated))
        for service in services
        if service.name != "secrets-manager"
    )


def of_service(
    service: Service,
    port: int,
    *,
    services: Iterable[Service],
    ports: Ports,
    root: Path,
    state: Path,
    domain: str,
) -> dict[str, str]:
    """Return what one process of this service is told, beside what it inherits.

    Args:
        service: the service.
        port: where this process listens; replicas have their own.
        services: all services of the stack.
        ports: the ports of the stack.
        root: the repository.
        state: the folder with keys and data.
        domain: the platform's domain.
    """
    services = list(services)
    at = {one.name: ports.of(one) for one in services}
    told = {
        "PYTHONPATH": str(root / "shared"),
        "PYTHONUNBUFFERED": "1",
        "FOUNTAIN_RUNTIME": "local",
        "FOUNTAIN_DOMAIN": domain,
        "FOUNTAIN_HOST": "127.0.0.1",
        "FOUNTAIN_EDGE_HOST": "127.0.0.1",
        "FOUNTAIN_PORT": str(port),
        "FOUNTAIN_HTTP_PORT": str(ports.http),
        "FOUNTAIN_HTTPS_PORT": str(ports.https),
        "FOUNTAIN_GATEWAY_URL": f"http://127.0.0.1:{at['gateway-lookup']}",
        "FOUNTAIN_IDENTITY_DIR": str(state / "identities" / service.name),
        "FOUNTAIN_DATA_DIR": str(state / "data" / service.name),
    }
    if service.name == "gateway-lookup":
        told["FOUNTAIN_ISSUER_URL"] = f"https://127.0.0.1:{at['secrets-manager']}"
    if service.name == "secrets-manager":
        told |= {
            "FOUNTAIN_SERVICES": reconciled(services),
            "FOUNTAIN_IDENTITIES_DIR": str(state / "identities"),
            "FOUNTAIN_ADMIN_DIR": str(state / "admin"),
            "FOUNTAIN_KEK_FILE": str(state / "kek" / "key-encryption-key"),
            "FOUNTAIN_TRUST_DIR": str(state / "trust"),
        }
    return told


def of_edge(
    *, services: Iterable[Service], ports: Ports, state: Path, domain: str, health_port: int
) -> dict[str, str]:
    """Return what Caddy is told: where it listens, its upstreams, and whom it trusts."""
    upstreams = {
        f"FOUNTAIN_{service.name.upper().replace('-', '_')}_UPSTREAM": f"127.0.0.1:{ports.of(service)}"
        for service in services
    }
    return {
        "HOME": str(state / EDGE),
        "XDG_DATA_HOME": str(state / EDGE / "data"),
        "XDG_CONFIG_HOME": str(state / EDGE / "config"),
        "FOUNTAIN_DOMAIN": domain,
        "FOUNTAIN_CADDY_BIND": "127.0.0.1",
        "FOUNTAIN_CADDY_HTTP_PORT": str(ports.http),
        "FOUNTAIN_CADDY_HTTPS_PORT": str(ports.https),
        "FOUNTAIN_PUBLIC_HTTPS_PORT": str(ports.https),
        "FOUNTAIN_CADDY_HEALTH_PORT": str(health_port),
        "FOUNTAIN_TRUST_DIR": str(state / "trust"),
        **upstreams,
    }
