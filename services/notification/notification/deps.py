"""Who may call, and what the routes work with."""

from typing import Annotated

from fastapi import Depends, Request
from fountain_common.auth import requires
from fountain_common.roles import Permission
from fountain_common.tokens import Caller

from notification.board import Board

PublishingCaller = Annotated[Caller, requires(Permission.EVENTS_PUBLISH)]
ReadingCaller = Annotated[Caller, requires(Permission.EVENTS_READ)]


def _board(request: Request) -> Board:
    board: Board = request.app.state.board
    return board


TheBoard = Annotated[Board, Depends(_board)]
