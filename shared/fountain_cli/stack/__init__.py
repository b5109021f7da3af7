"""The platform on this machine, as containers or as local processes, behind one face."""

from fountain_cli.stack.compose import ComposeStack
from fountain_cli.stack.face import (
    BadSetting,
    Errand,
    NoSuchService,
    NotRunning,
    NotScalable,
    Stack,
    StackError,
    Taken,
)
from fountain_cli.stack.local import LocalStack
from fountain_cli.stack.ports import Ports

__all__ = [
    "BadSetting",
    "ComposeStack",
    "Errand",
    "LocalStack",
    "NoSuchService",
    "NotRunning",
    "NotScalable",
    "Ports",
    "Stack",
    "StackError",
    "Taken",
]
