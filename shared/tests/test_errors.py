from typing import Any

from fountain_common import errors


def test_a_denial_names_the_permission_and_the_roles() -> None:
    problem = errors.Forbidden.missing("secrets:write", ["viewer", "auditor"])
    assert "secrets:write" in str(problem)
    assert "auditor, viewer" in str(problem)


def test_a_401_says_how_and_a_503_when() -> None:
    assert errors.Unauthenticated().headers == {"WWW-Authenticate": "Bearer"}
    assert errors.Unavailable(headers={"Retry-After": "7"}).headers == {"Retry-After": "7"}


def test_every_problem_has_a_status_of_its_own() -> None:
    kinds: list[Any] = errors.Problem.__subclasses__()
    assert len({kind.status for kind in kinds}) == len(kinds)
    assert all(400 <= kind.status < 600 and kind.title for kind in kinds)
