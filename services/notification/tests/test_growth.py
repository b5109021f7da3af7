"""Nothing that is asked often reads the whole log: each question goes by an index, however much is stored."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fountain_common.db import Database
from notification import repository, repository_deliveries, repository_replay, repository_retention
from notification.board import MIGRATIONS
from notification.event import Draft
from notification.filters import Filter
from notification.repository_search import NEAR_POSITIONS, events_after
from notification.retention import Cut
from sqlalchemy import event, text
from sqlalchemy.orm import Session

TYPES = [f"order.t{number}" for number in range(5)]
LAST = NEAR_POSITIONS + 1000


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A log of some thousand events, the newest of which are rare."""
    made = Database(f"sqlite:///{tmp_path_factory.mktemp('growth') / 'log.db'}")
    made.migrate(MIGRATIONS)

    def fill(session: Session) -> None:
        repository.load_state(session)
        drafts = []
        for position in range(1, LAST + 1):
            rare = position > LAST - 20
            draft = Draft.of(
                id=f"e{position}", source="rare" if rare else "shop", key=f"k{position}", time=0,
                type=f"rare.t{position % 2}" if rare else TYPES[position % 5], subject=f"s{position % 7}",
                recipient="alice" if position % 3 == 0 else "",
            )  # fmt: skip
            drafts.append(draft)
        batches = [repository.Batch(drafts[start : start + 500]) for start in range(0, LAST, 500)]
        for batch in batches:
            repository.store(session.connection(), [batch], time.time())

    with Session(made.engine) as session, session.begin():
        fill(session)
    yield made
    made.engine.dispose()


QUESTIONS: dict[str, Callable[[Session], Any]] = {
    "list": lambda s: events_after(s, 0, Filter("me"), 50, LAST, TYPES),
    "one type": lambda s: events_after(s, 0, Filter("me", ("rare.t1",)), 50, LAST, [*TYPES, "rare.t1"]),
    "one publisher": lambda s: events_after(s, 0, Filter("me", source="rare"), 50, LAST, TYPES),
    "the newest of a type": lambda s: repository.retained_event(s, "order.t1", None, "me"),
    "the newest of a subject": lambda s: repository.retained_event(s, "order.t1", "s1", "me"),
    "by id": lambda s: repository.event_by_id(s, "e7", "me"),
    "by position": lambda s: repository.event_at(s, 7),
    "what is known of a draft": lambda s: repository._known(
        s.connection(), [Draft.of(id="e1", source="shop", type="order.t1", time=0, key="k1")]
    ),
    "what has expired": lambda s: repository_retention.has_expired(s, time.time()),
    "the position at a moment": lambda s: repository_replay.position_before(s, 500.0),
    "what may go": lambda s: repository_retention.removable(
        s, repository_retention.Span("order.t1", 700, None), 0, 50
    ),
    "where something may go": lambda s: repository_retention.span_of(s, Cut("order.t1", 50.0, None), 10),
    "the queues": repository_deliveries.queues,
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_question_reads_the_whole_log(database: Database, name: str) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    with Session(database.engine) as session:
        event.listen(database.engine, "before_cursor_execute", note)
        try:
            QUESTIONS[name](session)
        finally:
            event.remove(database.engine, "before_cursor_execute", note)
        for statement, parameters in asked:
            plan = session.connection().exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters)
            steps = [row[3] for row in plan]
            assert not [step for step in steps if step.startswith(("SCAN events", "SCAN deliveries"))], steps


@pytest.mark.parametrize(
    "wanted",
    [
        Filter("me", ("rare.*",)),
        Filter("alice", ("rare.*", "nothing.>")),
        Filter("me", ("*.t1",), source="rare"),
        Filter("me", (), subject="s3"),
        Filter("alice", ("rare.>",), None, "s3"),
        Filter("alice", ("rare.>", "order.t1"), about=(("rare.*", "s3"), ("rare.*", "s4"))),
    ],
)
@pytest.mark.parametrize("limit", [3, 500])
@pytest.mark.parametrize("through", [None, LAST - 5])
def test_what_is_looked_up_type_by_type_is_what_reading_everything_finds(
    database: Database, wanted: Filter, limit: int, through: int | None
) -> None:
    with Session(database.engine) as session:
        types = repository.event_types(session)
        for after in (0, 10, LAST - 7):
            looked_up = events_after(session, after, wanted, limit, through, types)
            assert looked_up == events_after(session, after, wanted, limit, through)
            assert looked_up or after
        assert session.execute(text("SELECT count(*) FROM events")).scalar() == LAST
