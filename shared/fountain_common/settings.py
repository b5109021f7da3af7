"""Settings of a service: read once, from `FOUNTAIN_*` and an optional `.env`.

A secret has no place there. The one that is found stops the start with a sentence that says where it belongs.
"""

import os
import re
import secrets
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, NoReturn, Self, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fountain_common.errors import InvalidName
from fountain_common.names import service_name, snake

PREFIX = "FOUNTAIN_"
EXIT_CONFIG = 78
"""EX_CONFIG of sysexits.h: the configuration is wrong and starting again will not help."""

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
_SECRET_SUFFIX = re.compile(r"_(SECRET|PASSWORD|PASSPHRASE|TOKEN|KEY)$")
_Settings = TypeVar("_Settings", bound="ServiceSettings")


def _valid_name(raw: str) -> str:
    try:
        return service_name(raw)
    except InvalidName as error:
        raise ValueError(str(error)) from None


class ServiceSettings(BaseSettings):
    """What every service reads. Each service subclasses it with its own name and its own few fields."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", hide_input_in_errors=True, validate_default=True
    )

    service_name: Annotated[str, AfterValidator(_valid_name)]
    """The service's name, fixed by the subclass."""
    domain: str = "fountain.localhost"
    """The domain whose subdomains are the services."""
    issuer: str = ""
    """`iss` of every token; empty means `https://secrets-manager.<domain>`. Never a request's Host."""
    gateway_url: str = "http://gateway-lookup:8000"
    """Where the gateway is: the one address that a service is given."""
    identity_dir: Path = Path("/run/fountain/identity")
    """The folder with this service's `api-key` and the `ca.pem` that verifies the Secrets Manager."""
    data_dir: Path = Path("/data")
    """The folder for the embedded database."""
    database_url: str = ""
    """A database without a password in it; empty means SQLite at `<data_dir>/<package>.db`."""
    database_password_file: Path = Path("/run/secrets/database_password")
    """The file with the database's password, where `database_url` needs one."""
    host: str = "0.0.0.0"  # noqa: S104 - a container's own network; the local runtime sets loopback
    """The address to listen on."""
    port: int = Field(default=8000, ge=1, le=65535)
    """The port to listen on."""
    runtime: Literal["docker", "local"] = "docker"
    """Where it runs; `local` are processes on loopback."""
    edge_host: str = "caddy"
    """The host whose addresses may set X-Forwarded-*; in the local runtime that is loopback."""
    log_level: LogLevel = "INFO"
    """The least level that is logged."""
    max_body_bytes: int = Field(default=1024 * 1024, ge=1)
    """The largest request body, in bytes; more is a 413."""
    boot_deadline_seconds: float = Field(default=120, gt=0)
    """How long a start waits for the Secrets Manager before it gives up, in seconds."""
    shutdown_grace_seconds: float = Field(default=10, ge=0)
    """How long open requests may take to end after SIGTERM, in seconds."""
    secrets_renew_seconds: float = Field(default=30, gt=0, le=60)
    """The longest time until the Secrets Manager is asked again, with no event to say so, in seconds."""
    tracing: bool = False
    """Send OpenTelemetry spans; where to is said by the standard `OTEL_*` variables."""
    instance_id: str = Field(default_factory=lambda: secrets.token_hex(16), pattern=r"^[0-9a-f]{32}$")
    """The name of this process among the replicas of its service: 32 hex digits, made anew at each start."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.issuer:
            self.issuer = f"https://secrets-manager.{self.domain}"
        self.issuer = self.issuer.rstrip("/")
        if _has_password(self.database_url):
            raise ValueError(_password_sentence("database_url"))
        return self

    @property
    def issuer_url(self) -> str:
        """The issuer, as it stands in `iss`."""
        return self.issuer

    @property
    def package(self) -> str:
        """The name of the service's Python package."""
        return snake(self.service_name)

    @property
    def effective_database_url(self) -> str:
        """`database_url`, or the embedded database of this service."""
        return self.database_url or f"sqlite:///{self.data_dir / self.package}.db"

    def database_password(self) -> str | None:
        """Read the database's password from its file, anew each time as it may rotate; None without one."""
        try:
            return self.database_password_file.read_text().strip() or None
        except FileNotFoundError:
            return None


def _has_password(value: str) -> bool:
    if "://" not in value:
        return False
    try:
        return bool(urlsplit(value).password)
    except ValueError:
        return "@" in value


def _password_sentence(field: str) -> str:
    return (
        f"{PREFIX}{field.upper()} holds a password in its URL. "
        "Take it out and put it into the file that FOUNTAIN_DATABASE_PASSWORD_FILE names "
        "(/run/secrets/database_password)."
    )


def misplaced_secrets(environment: Mapping[str, str | None]) -> list[str]:
    """Return a sentence for each secret that stands in the environment; the value is never in it."""
    found = []
    for name, value in sorted(environment.items()):
        upper = name.upper()
        if not upper.startswith(PREFIX) or not value:
            continue
        if _SECRET_SUFFIX.search(upper):
            found.append(
                f"{upper} looks like a secret, and the environment is no place for one: remove it, keep the "
                "secret in the Secrets Manager or in a file, and name that file with a setting that ends in "
                "_FILE."
            )
        elif _has_password(value):
            found.append(_password_sentence(upper.removeprefix(PREFIX)))
    return found


def load(settings_class: type[_Settings], environment: Mapping[str, str] | None = None) -> _Settings:
    """Read the settings, or say in plain sentences on stderr what is wrong and exit with 78.

    Args:
        settings_class: the service's own class.
        environment: what to look through for misplaced secrets; the process's own environment if not given.
    """
    env_file = settings_class.model_config.get("env_file")
    from_file = dotenv_values(env_file) if isinstance(env_file, str | Path) else {}
    sentences = misplaced_secrets({**from_file, **(os.environ if environment is None else environment)})
    if sentences:
        _refuse(sentences)
    try:
        return settings_class()
    except ValidationError as error:
        _refuse([_plain(item["loc"], item["msg"]) for item in error.errors(include_input=False)])


def _plain(loc: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{PREFIX}{'_'.join(map(str, loc)).upper()}: {message}." if loc else message


def _refuse(sentences: Iterable[str]) -> NoReturn:
    for sentence in sentences:
        sys.stderr.write(f"This service does not start: {sentence}\n")
    raise SystemExit(EXIT_CONFIG)
