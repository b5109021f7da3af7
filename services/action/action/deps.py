"""What routes ask for."""

from typing import Annotated

from fastapi import Depends, Request
from fountain_common import Caller, requires

from action.service import Actions


def _actions(request: Request) -> Actions:
    actions: Actions = request.app.state.actions
    return actions


ActionsDep = Annotated[Actions, Depends(_actions)]
MayRead = Annotated[Caller, requires("actions:read")]
MayWrite = Annotated[Caller, requires("actions:write")]
