"""`fountain backup`, `restore`, `recover-admin`, `rekey`, `begin-epoch`.

What is done beside databases and key volume.
"""

from pathlib import Path
from typing import Annotated

import typer

from fountain_cli import keys
from fountain_cli.api import ISSUER
from fountain_cli.connection import beside
from fountain_cli.exits import CONFLICT, REFUSED, CommandError, leave, of_errand
from fountain_cli.passphrase import passphrase
from fountain_cli.screen import AsJson, as_json, err, say, size
from fountain_cli.teaching import command
from fountain_cli.transfer import bring, fetch


def register(app: typer.Typer) -> None:
    """Add the commands."""
    dated = 'fountain backup --to "$(date +%F).backup"'
    command(app, examples=[dated, f"{dated} < passphrase-file"])(backup)
    command(app, examples=["fountain restore --from 2026-01-31.backup"])(restore)
    command(app, "recover-admin", examples=["fountain recover-admin"])(recover_admin)
    command(app, examples=["fountain rekey", "fountain rekey --from file"])(rekey)
    command(app, "begin-epoch", examples=["fountain begin-epoch"])(begin_epoch)


def backup(
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE", help="The file to write; it must not be there.")
    ],
    json: AsJson = False,
) -> None:
    """Back up everything into one encrypted file, while the platform runs.

    The key ring and the databases of all services are in it. It opens with the passphrase alone, which is
    asked for, or is the first line of standard input.
    """
    to = to.expanduser().absolute()
    if to.exists():
        raise CommandError(f"{to} exists already. Name another file, or move that one away.", CONFLICT)
    if not to.parent.is_dir():
        raise CommandError(f"There is no folder {to.parent}. Make it first.", REFUSED)
    secret = passphrase(twice=True)
    errand = beside().errand("backup", "--to", "-", stores=True, terminal=False)
    try:
        with err.status("Backing up") as status:
            found = fetch(errand, secret, to, lambda done: status.update(f"Backing up: {size(done)}"))
    except OSError as error:
        raise CommandError(f"{to} was not written: {error.strerror or error}.") from None
    if json:
        as_json({"file": str(to), **found})
    else:
        say(f"{to} holds {', '.join(found['stores'])} and the key ring: {size(found['bytes'])}, encrypted.")
        say("Keep it on another machine, and its passphrase apart from it.")


def restore(
    source: Annotated[Path, typer.Option("--from", metavar="FILE", help="A file that backup wrote.")],
    json: AsJson = False,
) -> None:
    """Put a backup onto an empty machine, while the platform is stopped.

    Nothing is overwritten. Afterwards there is a new epoch, there are new signing keys, and every API key is
    disabled until an administrator enables it again; a new one of the administrator is made.
    """
    stack = beside()
    if stack.running():
        raise CommandError(
            "The platform runs. A restore goes onto an empty machine: stop it with fountain down, or, if all "
            "keys and data that it has now may go, with fountain down --remove.",
            CONFLICT,
        )
    try:
        file = source.open("rb")
    except OSError as error:
        raise CommandError(f"{source} cannot be read: {error.strerror}.", REFUSED) from None
    with file:
        secret, whole = passphrase(), size(source.stat().st_size)
        with err.status("Making the places for keys and data") as status:
            stack.prepare()
            errand = stack.errand("restore", "--from", "-", stores=True, terminal=False)
            found = bring(
                errand, secret, file, lambda done: status.update(f"Restoring: {size(done)} of {whole}")
            )
    if json:
        as_json(found)
        return
    say(f"Restored {', '.join(found['stores'])} and the key ring.")
    if found["left_out"]:
        say(f"Not restored, for there are no such services here: {', '.join(found['left_out'])}.")
    say(f"{found['disabled_keys']} API keys are disabled. Services get new ones at the start: fountain up")
    say("Those of people and robots: fountain identities show NAME, fountain identities enable-key NAME ID")
    if keys.stored(stack.url(ISSUER)):
        say("The key that is stored for this platform is disabled too: fountain logout")


def recover_admin() -> None:
    """Make a new administrator's key into its volume, where the last one is lost.

    The platform may run meanwhile. Revoke the lost key afterwards.
    """
    raise leave(of_errand(beside().errand("recover-admin").run()))


def rekey(
    provider: Annotated[
        str | None,
        typer.Option("--from", metavar="PROVIDER", help="file or openbao-transit: who has the key now."),
    ] = None,
) -> None:
    """Replace the key-encryption key, while the Secrets Manager is stopped.

    Every data key is wrapped anew. While it runs, POST /key-encryption-key/rotate does the same.
    With --from, the key moves from that provider to the one that the settings name.
    """
    moves = () if provider is None else ("--from", provider)
    raise leave(of_errand(beside().errand("rekey", *moves).run()))


def begin_epoch() -> None:
    """Go on with an older database that was put back, while the Secrets Manager is stopped.

    As after a restore: every reader reads anew, there are new signing keys, and every API key is disabled
    until an administrator enables it again; a new one of the administrator is made.
    """
    raise leave(of_errand(beside().errand("begin-epoch").run()))
