"""Who may call, and what the routes work with."""

from typing import Annotated

from fastapi import Request
from fountain_common.auth import requires
from fountain_common.roles import Permission
from fountain_common.tokens import Caller

from notification.board import Board

PublishingCaller = Annotated[Caller, requires(Permission.EVENTS_PUBLISH)]
SubscriptionReader = Annotated[Caller, requires(Permission.SUBSCRIPTIONS_READ)]
SubscriptionWriter = Annotated[Caller, requires(Permission.SUBSCRIPTIONS_WRITE)]
SubscriptionReplayer = Annotated[Caller, requires(Permission.SUBSCRIPTIONS_REPLAY)]
ReadingCaller = Annotated[Caller, requires(Permission.EVENTS_READ)]


def board_of(request: Request) -> Board:
    """Return what the routes work with.

    It is asked for and not injected: a dependency costs each request more than storing its event does.
    """
    board: Board = request.app.state.board
    return board
