"""The commands, put together."""

import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from fountain_cli.commands import (
    audit,
    catalog,
    check,
    events,
    identities,
    keeper,
    lifecycle,
    login,
    rotations,
    secrets,
    services,
    subscriptions,
)
from fountain_cli.exits import CONFLICT, FAILED, NOT_FOUND, OK, REFUSED, UNAVAILABLE, CommandError
from fountain_cli.screen import err
from fountain_cli.stack import BadSetting, NoSuchService, NotRunning, NotScalable, StackError, Taken
from fountain_cli.teaching import Group, statuses

_STATUSES = (
    (NoSuchService, NOT_FOUND),
    (NotScalable, REFUSED),
    (BadSetting, REFUSED),
    (Taken, CONFLICT),
    (NotRunning, UNAVAILABLE),
)


class _Fountain(typer.Typer):
    """Turns the errors that are meant for people into a sentence and an exit status."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().__call__(*arguments, **options)
        except CommandError as error:
            err.print(Text(str(error), style="red"), soft_wrap=True)
            sys.exit(error.status)
        except (StackError, FileNotFoundError) as error:  # nothing here, or no such file
            err.print(Text(str(error), style="red"), soft_wrap=True)
            sys.exit(next((status for kind, status in _STATUSES if isinstance(error, kind)), FAILED))


app = _Fountain(
    name="fountain",
    cls=Group,
    help="Operates the platform: services, secrets, rotations, events.",
    epilog=statuses(),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"fountain {version()}\n")
        raise typer.Exit(OK)


def version() -> str:
    """Return the version: that of the repository, or of what is installed."""
    project = Path(__file__).parents[1] / "pyproject.toml"
    if project.is_file():
        return str(tomllib.loads(project.read_text())["project"]["version"])
    return metadata.version("fountain-common")


@app.callback()
def _whole(
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    del version


lifecycle.register(app)
login.register(app)
catalog.register(app)
services.register(app)
check.register(app)
app.add_typer(secrets.app, name="secrets")
app.add_typer(rotations.app, name="rotations")
app.add_typer(events.app, name="events")
app.add_typer(subscriptions.app, name="subscriptions")
app.add_typer(identities.app, name="identities")
app.add_typer(audit.app, name="audit")
keeper.register(app)
