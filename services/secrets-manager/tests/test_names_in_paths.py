"""What is no service's name is asked of no database, on the short way as on the ordinary one."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fountain_common.statements import Listed
from sqlalchemy import Engine, event


@contextmanager
def asked() -> Iterator[list[str]]:
    """Whatever any database of this process is asked meanwhile, with its parameters."""
    seen: list[str] = []
    worded = Listed.worded

    def note_listed(self, *given, **others):
        statement, parameters = worded(self, *given, **others)
        seen.append(f"{statement} {parameters!r}")
        return statement, parameters

    def note(_connection, _cursor, statement, parameters, *_rest) -> None:
        seen.append(f"{statement} {parameters!r}")

    event.listen(Engine, "before_cursor_execute", note)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Listed, "worded", note_listed)  # which goes past SQLAlchemy on SQLite
            yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


NO_NAMES = ("no-such\N{KELVIN SIGN}", "no-such%00", "NO-SUCH", "no-such%20", "no-such%2e", "no-such%0a")


@pytest.mark.parametrize(("method", "behind"), [("GET", ""), ("POST", "/rotate")])
def test_a_name_that_cannot_be_one_is_refused_before_a_database_sees_it(running, method, behind):
    headers = running.as_("admin")
    assert (
        running.client.get("/secrets/notification", headers=headers).status_code == 200
    )  # known from here on
    with asked() as statements:
        for name in NO_NAMES:
            answer = running.client.request(method, f"/secrets/{name}{behind}", headers=headers)
            assert (answer.status_code, "A service name has" in answer.text) == (422, True), name
        known = running.client.request(method, f"/secrets/no-such{behind}", headers=headers)
    assert known.status_code == 404
    among = [one for one in statements if "no-such" in one.lower()]
    assert among, "what may be a name is looked for"
    assert all("'no-such'" in one for one in among), among
