"""Which answers are the edge's own: all others are a service's, and have to be as services answer."""

import re
from pathlib import Path

import orjson
from wire import Answer

_CADDYFILE = Path(__file__).parents[2] / "caddy" / "Caddyfile"
DETAILS = frozenset(re.findall(r'"(The edge [^"]+)"', _CADDYFILE.read_text()))
"""What its problems say, each of them."""
ON_ALL = "strict-transport-security"
"""A header that the edge sets on whatever it passes on, and on its own problems."""
UNREAD = (400, 417, 431, 501, 505)
"""How it refuses what is no request, before any of its rules is looked at."""
_MEMBERS = {"type", "title", "status", "detail", "instance", "request_id"}


def says(answer: Answer) -> bool:
    """Tell whether an answer is the edge's own: a problem in its words, or the refusal of what is no request.

    That it has no `X-Request-ID` shows nothing: a service may have left it out.
    """
    if answer.header("x-request-id"):
        return False
    if not answer.header(ON_ALL):
        return answer.status in UNREAD
    if answer.header("content-type") != "application/problem+json":
        return False
    try:
        problem = orjson.loads(answer.body)
    except ValueError:
        return False
    return (
        isinstance(problem, dict)
        and problem.keys() == _MEMBERS
        and (problem["status"], problem["instance"]) == (answer.status, "")
        and problem["detail"] in DETAILS
    )
