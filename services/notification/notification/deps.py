"""Who may call, and what the routes work with."""

from typing import Annotated

from fastapi import Depends, Request
from fountain_common.auth import requires
from fountain_common.roles import Permission
from fountain_common.tokens import Caller

from notification.board import Board

PublishingCaller = Annotated[Caller, requires(Permission.EVENTS_PUBLISH)]
SubscriptionReader = Annotated[Caller, requires(Permission.SUBSCRIPTIONS_READ)]
SubscriptionWriter = Annotated[Caller, requires(Permission.SUBSCRIPTIONS_WRITE)]
SubscriptionReplayer = Annotated[Caller, requires(Permission.SUBSCRIPTIONS_REPLAY)]
ReadingCaller = Annotated[Caller, requires(Permission.EVENTS_READ)]


async def _board(request: Request) -> Board:
    # Not a plain function: those are sent through a thread, which costs more than all else that a request
    # does.
    board: Board = request.app.state.board
    return board


TheBoard = Annotated[Board, Depends(_board)]
