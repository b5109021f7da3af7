"""`fountain up`, `down`, `logs`, `trust`: the platform on this machine."""

import time
from typing import Annotated

import typer

from fountain_cli.api import Api
from fountain_cli.connection import here
from fountain_cli.demo.story import Story
from fountain_cli.exits import FAILED, OK, USAGE, CommandError, leave
from fountain_cli.screen import Yes, agreed, err, out, say
from fountain_cli.stack import ComposeStack, LocalStack, choice
from fountain_cli.stack.layout import repository
from fountain_cli.stack.variables import variables
from fountain_cli.teaching import command
from fountain_cli.trust import install

_Scale = Annotated[
    list[str] | None, typer.Option("--scale", metavar="SERVICE=NUMBER", help="Run so many of a service.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, examples=["fountain up", "fountain up --scale example-consumer=3", "fountain up --observe"])(
        up
    )
    command(app, examples=["fountain down"])(down)
    command(app, examples=["fountain logs notification"])(logs)
    command(app, examples=["fountain trust"])(trust)
    command(app, examples=["fountain demo"])(demo)


def _replicas(scale: list[str]) -> dict[str, int]:
    """Return how many of which, from the options and from `FOUNTAIN_REPLICAS_<SERVICE>`, in `.env` too."""
    wanted: dict[str, int] = {}
    prefix = "FOUNTAIN_REPLICAS_"
    environment = [
        f"{name.removeprefix(prefix).lower().replace('_', '-')}={value}"
        for name, value in variables(repository()).items()
        if name.startswith(prefix) and value
    ]
    for one in [*environment, *scale]:
        service, _, number = one.partition("=")
        if not number.isdecimal() or not 1 <= int(number) <= 20:
            raise CommandError(
                f"{one!r}: write a service and a number from 1 to 20, as in example-consumer=3.", USAGE
            )
        wanted[service] = int(number)
    return wanted


def up(
    scale: _Scale = None,
    dev: Annotated[bool, typer.Option("--dev", help="Hot reload, service ports on loopback.")] = False,
    observe: Annotated[bool, typer.Option("--observe", help="With Prometheus, on loopback.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show how images are built; else only where it fails.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Start the platform and wait until all of it is well.

    Where it runs already, and the clone that started it cannot be seen from here, it asks first.
    """
    stack = choice.to_start(_replicas(scale or []), dev=dev, observe=observe, verbose=verbose)
    _agree_to_take_over(stack, yes=yes)
    stack.check_start()
    where = "in containers" if stack.runtime == "docker" else "as local processes"
    say(f"Starting the platform {where} ...")
    began = time.monotonic()
    if verbose:
        stack.start()
    else:
        doing = "Building what changed, and waiting" if stack.runtime == "docker" else "Waiting"
        if not err.is_terminal:
            say(f"{doing} until every service is healthy ...")
        with err.status(f"{doing} until every service is healthy"):
            stack.start()
    say(f"All services are healthy after {time.monotonic() - began:.1f} s.\n")
    welcome(stack)
    if observe:
        port = variables(repository()).get("FOUNTAIN_PROMETHEUS_PORT") or "9090"
        out.print(f"\n  metrics and alerts   http://127.0.0.1:{port}", highlight=False)


def _agree_to_take_over(stack: ComposeStack | LocalStack, *, yes: bool) -> None:
    if isinstance(stack, ComposeStack) and (whose := stack.require_own()) and stack.running():
        agreed(
            f"The platform runs, started by {whose}. It was moved or removed, or is on another machine that "
            "uses the same engine. Is what runs this clone's now?",
            yes=yes,
        )
        stack.agreed = True


def welcome(stack: ComposeStack | LocalStack) -> None:
    """Say where everything is and how to get in."""
    out.print("[bold]The platform runs.[/bold]\n")
    names = [service.name for service in stack.services]
    width = max(map(len, ["portal", *names]))
    out.print(f"  {'portal':<{width}}   {stack.url()}", highlight=False, soft_wrap=True)
    for name in names:
        out.print(f"  {name:<{width}}   {stack.url(name)}/docs", highlight=False, soft_wrap=True)
    out.print(
        "\n  make token   an administrator's token (service=example-consumer: for that service)",
        highlight=False,
    )
    out.print("  make demo    the main job: a rotation that every instance confirms", highlight=False)
    out.print("  make trust   lets this machine trust the local certificates", highlight=False)


def down(
    remove: Annotated[bool, typer.Option("--remove", help="Forget all keys and data as well.")] = False,
    yes: Yes = False,
) -> None:
    """Stop the platform; keys and data stay.

    Where it runs, and the clone that started it cannot be seen from here, it asks first. With --remove it
    always asks, since nothing brings keys and data back but a backup.
    """
    stack = here(asks=True) if not remove else choice.running_or_next(asks=True)
    if remove:
        agreed(f"This deletes all keys and data of {_owner(stack)}. Delete them?", yes=yes)
    else:
        _agree_to_take_over(stack, yes=yes)
    with err.status("Stopping"):
        stack.stop(remove=remove)
    say("The platform is stopped." + (" Its keys and data are gone." if remove else ""))


def _owner(stack: ComposeStack | LocalStack) -> str:
    """Return whose keys and data a stack has."""
    if isinstance(stack, LocalStack):
        return f"the local processes, in {stack.state.folder}"
    project = f"the Compose project {stack.project}"
    return f"{project}, made by {whose}" if (whose := stack.require_own()) else project


def logs(
    services: Annotated[list[str] | None, typer.Argument(help="Only these services.")] = None,
) -> None:
    """Follow the logs."""
    try:
        status = here().follow_logs(services or [])
    except KeyboardInterrupt:
        status = 0
    raise leave(status)


def trust() -> None:
    """Let this machine trust the certificates of the platform that runs here."""
    if (ca := here().ca()) is None:
        raise CommandError(
            "There is nothing to install: the certificates come from a public authority (FOUNTAIN_TLS=acme), "
            "which machines trust already."
        )
    install(ca)


def demo() -> None:
    """Rotate a secret under the eyes of every instance, with the time of each step."""
    stack = here()
    with Api(stack.admin_key(), stack.client) as api:
        true = Story(stack, api).tell()
    raise leave(OK if true else FAILED)
