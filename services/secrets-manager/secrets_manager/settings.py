"""Settings of the secrets manager, `FOUNTAIN_*`."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from fountain_common.settings import ServiceSettings
from pydantic import AfterValidator, Field

from secrets_manager.reconciliation import Wanted, parse_wanted


def _readable(raw: str) -> str:
    parse_wanted(raw)
    return raw


def _encrypted(address: str) -> str:
    """Refuse an address to which the key ring and the token would go in plain text."""
    url = urlsplit(address)
    if not url.hostname or url.scheme not in {"https", "http"}:
        raise ValueError("an address such as https://openbao:8200 is needed")
    if url.scheme == "http" and not _is_loopback(url.hostname):
        raise ValueError(
            f"over http:// the key ring and the token would go to {url.hostname} in plain text. Give OpenBao "
            "a certificate and let the address begin with https:// (FOUNTAIN_OPENBAO_CA_FILE names the "
            "certificate of an authority of your own); http:// is for loopback addresses alone"
        )
    return address


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Settings(ServiceSettings):
    """What the secrets manager reads besides what every service does."""

    service_name: str = "secrets-manager"
    """The name, which is fixed."""
    services: Annotated[str, AfterValidator(_readable)] = (
        "notification:DATA_KEY gateway-lookup example-consumer"
    )
    """Services that get an identity, a key file and a first secret at every start if they have none: names,
    with the generated keys that one needs besides JWT_SECRET and DB_PASSWORD behind colons."""
    identities_dir: Path = Path("/identities")
    """The folder below which each service's own volume is mounted; its `api-key` and `ca.pem` go there."""
    admin_dir: Path = Path("/admin")
    """The folder for the admin's `api-key` and `ca.pem`."""
    trust_dir: Path = Path("/trust")
    """The folder for the `ca.pem` that the edge and Prometheus read."""
    kek_provider: Literal["file", "openbao-transit"] = "file"
    """Where the key-encryption key is: in a file, or in the transit engine of an OpenBao server."""
    kek_file: Path = Path("/kek/key-encryption-key")
    """The file of the key-encryption key, on a volume apart from the database."""
    holder_seconds: float = Field(default=90, ge=5)
    """How long an instance that is not heard of still counts as a holder, in seconds: several times the
    `secrets_renew_seconds` of the services. A rotation waits so long for an instance that was killed."""
    openbao_address: Annotated[str, AfterValidator(_encrypted)] = "https://openbao:8200"
    """The OpenBao server, for `kek_provider=openbao-transit`; `http://` for a loopback address alone."""
    openbao_key_name: str = "fountain"
    """The name of the key in its transit engine, which is mounted at `transit/`."""
    openbao_token_file: Path = Path("/run/secrets/openbao_token")
    """The file with the token that may use the key."""
    openbao_ca_file: Path | None = None
    """The certificate that verifies the server; the system's authorities if not given."""
    signing_key_days: float = Field(default=30, gt=0)
    """The age at which the key that signs tokens is rotated by itself, in days."""
    anchor_seconds: float = Field(default=60, gt=0)
    """How often the head of the audit is signed and published, in seconds, if there is anything new."""

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """The services of `services`."""
        return parse_wanted(self.services)
