"""Lets this machine trust the edge's own CA."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from fountain_cli.exits import UNAVAILABLE, CommandError
from fountain_cli.screen import say

_NAME = "fountain-local-ca.crt"


def commands(ca: Path, platform: str) -> list[list[str]]:
    """Return the commands that install a CA on this platform (`sys.platform`); empty if none is known."""
    if platform == "darwin":
        keychain = "/Library/Keychains/System.keychain"
        return [["security", "add-trusted-cert", "-d", "-r", "trustRoot", "-k", keychain, str(ca)]]
    if shutil.which("update-ca-certificates"):  # Debian and its kin
        return [["cp", str(ca), f"/usr/local/share/ca-certificates/{_NAME}"], ["update-ca-certificates"]]
    if shutil.which("update-ca-trust"):  # Fedora and its kin
        return [["cp", str(ca), f"/etc/pki/ca-trust/source/anchors/{_NAME}"], ["update-ca-trust"]]
    return []


def install(ca: Path) -> None:
    """Install the CA, asking for an administrator's rights where they are needed.

    Raises:
        CommandError: this system's way is not known, or it failed.
    """
    steps = commands(ca, sys.platform)
    if not steps:
        raise CommandError(
            f"This system's trust store is not known. Import this file by hand: {ca}", UNAVAILABLE
        )
    elevate = [] if os.geteuid() == 0 else ["sudo"]
    for step in steps:
        done = subprocess.run([*elevate, *step], check=False, capture_output=not elevate)  # noqa: S603
        if done.returncode:
            raise CommandError(f"`{' '.join(step)}` failed. Import this file by hand: {ca}")
    say("This machine trusts the platform's certificates now. Firefox keeps its own list: import " + str(ca))
