"""The platform on this machine, as containers or as local processes, behind one face."""

from fountain_cli.stack.compose import ComposeStack
from fountain_cli.stack.face import Errand, NoSuchService, NotScalable, Stack, StackError
from fountain_cli.stack.local import LocalStack
from fountain_cli.stack.ports import Ports

__all__ = [
    "ComposeStack",
    "Errand",
    "LocalStack",
    "NoSuchService",
    "NotScalable",
    "Ports",
    "Stack",
    "StackError",
]
