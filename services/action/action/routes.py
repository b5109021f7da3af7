"""The operations."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response, status
from fountain_common import Unprocessable, problem_responses

from action.deps import ActionsDep, MayRead, MayWrite
from action.schemas import ActionChange, ActionPage, ActionView, Id, NewAction
from action.service import etag, matches

router = APIRouter(prefix="/actions", tags=["actions"])
ActionId = Annotated[Id, Path(alias="actionId")]
IfMatch = Annotated[str | None, Header(description="Change it only if it still has this ETag.")]


@router.get("", summary="List actions", responses=problem_responses(503))
async def list_actions(
    _: MayRead,
    actions: ActionsDep,
    character_id: Annotated[Id | None, Query(alias="characterId")] = None,
    keyword: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=20, description="`next` of the page before.")] = None,
) -> ActionPage:
    """A page of actions by id, of one character and with a keyword in description or comment if asked for."""
    found = await actions.page(_position(cursor), limit + 1, character_id, keyword)
    more = len(found) > limit
    items = [ActionView.model_validate(row) for row in found[:limit]]
    return ActionPage(items=items, next=str(items[-1].action_id) if more else None)


@router.post(
    "", summary="Add an action", status_code=status.HTTP_201_CREATED, responses=problem_responses(503)
)
async def create_action(body: NewAction, _: MayWrite, actions: ActionsDep, response: Response) -> ActionView:
    """Add an action after the character's last; its sequence number follows without a gap."""
    row = await actions.create(body)
    response.headers["ETag"] = etag(row)
    response.headers["Location"] = f"/actions/{row.action_id}"
    return ActionView.model_validate(row)


@router.get(
    "/{actionId}",
    summary="Get an action",
    response_model=ActionView,
    responses={304: {"description": "It still has the ETag given"}, **problem_responses(404, 503)},
)
async def get_action_by_id(
    action_id: ActionId,
    _: MayRead,
    actions: ActionsDep,
    response: Response,
    if_none_match: Annotated[str | None, Header(description="Answer 304 if it still has this ETag.")] = None,
) -> ActionView | Response:
    """One action, with its ETag."""
    row = await actions.get(action_id)
    tag = etag(row)
    if if_none_match is not None and matches(if_none_match, tag):
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return ActionView.model_validate(row)


@router.patch("/{actionId}", summary="Change an action", responses=problem_responses(404, 412, 503))
async def update_action(
    action_id: ActionId,
    body: ActionChange,
    _: MayWrite,
    actions: ActionsDep,
    response: Response,
    if_match: IfMatch = None,
) -> ActionView:
    """Change description or comment; what the request does not name stays. If-Match refuses a lost update."""
    row = await actions.update(action_id, body, if_match)
    response.headers["ETag"] = etag(row)
    return ActionView.model_validate(row)


@router.delete(
    "/{actionId}",
    summary="Delete an action",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problem_responses(404, 412, 503),
)
async def delete_action(
    action_id: ActionId, _: MayWrite, actions: ActionsDep, if_match: IfMatch = None
) -> None:
    """Remove an action for good; its sequence number is not given again."""
    await actions.delete(action_id, if_match)


def _position(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and int(cursor) < 2**31):
        raise Unprocessable(
            "cursor is not valid. Send the `next` of the page before, or leave it out for the first page."
        )
    return int(cursor)
