import asyncio
import contextlib
import io
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fountain_common.logging import _Lines, configure, get_logger, log_request, set_level
from fountain_common.requests import accept, enter, leave
from fountain_common.settings import ServiceSettings

Log = Callable[[], list[dict[str, Any]]]


def test_every_line_says_when_who_and_what(log: Log, settings: ServiceSettings) -> None:
    get_logger().info("order_taken", number=7)
    (line,) = log()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "order_taken",
        "level": "info",
        "service": "orders",
        "instance": settings.instance_id,
        "number": 7,
    }


def test_inside_a_request_it_says_which(log: Log) -> None:
    context = accept({b"x-request-id": b"abc"}, "")
    token = enter(context)
    get_logger().info("inside")
    leave(token)
    get_logger().info("outside")
    inside, outside = log()
    assert (inside["request_id"], inside["trace_id"]) == ("abc", context.trace_id)
    assert "request_id" not in outside


def test_the_line_of_a_request_has_the_same_form(log: Log) -> None:
    get_logger().info("other")
    log_request(accept({b"x-request-id": b"abc"}, ""), quiet=False, status=200)
    other, line = log()
    assert other.keys() <= line.keys()
    assert line["request_id"] == "abc"
    assert line["timestamp"].endswith("Z")


async def test_the_lines_of_one_turn_are_written_at_once_and_in_order(settings: ServiceSettings) -> None:
    writes: list[str] = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            writes.append(text)
            return len(text)

    def answered(number: int) -> None:
        log_request(accept({}, ""), quiet=False, number=number)

    configure(settings, Stream())
    answered(1)
    answered(2)
    assert writes == []
    await asyncio.sleep(0)
    answered(3)
    get_logger().info("between")
    answered(4)
    await asyncio.sleep(0)
    found = [[json.loads(line).get("number") for line in text.splitlines()] for text in writes]
    assert found == [[1, 2], [3, None], [4]]


def test_a_line_that_an_ended_loop_left_is_written_with_the_next(log: Log) -> None:
    async def answered(number: int) -> None:
        log_request(accept({}, ""), quiet=False, number=number)

    async def answered_twice() -> None:
        await answered(2)
        await asyncio.sleep(0)

    with contextlib.closing(asyncio.new_event_loop()) as loop:
        # One turn, and none of what it left for the next.
        loop.create_task(answered(1))
        loop.call_soon(loop.stop)
        loop.run_forever()
    asyncio.run(answered_twice())
    assert [line["number"] for line in log()] == [1, 2]


def test_quiet_requests_are_for_debugging(log: Log) -> None:
    log_request(accept({}, ""), quiet=True)
    assert log() == []
    set_level("DEBUG")
    log_request(accept({}, ""), quiet=True)
    assert [line["level"] for line in log()] == ["debug"]


def test_lines_of_libraries_have_the_same_form(log: Log) -> None:
    logging.getLogger("uvicorn.error").info("Application startup complete.")
    logging.getLogger("uvicorn.error").error("it broke: %s", "why")
    first, second = log()
    assert (first["event"], first["logger"], first["service"]) == (
        "Application startup complete.",
        "uvicorn.error",
        "orders",
    )
    assert (second["event"], second["level"]) == ("it broke: why", "error")


def test_the_access_lines_of_the_server_are_off(log: Log) -> None:
    logging.getLogger("uvicorn.access").info('"GET /x?token=marker"')
    assert log() == []


def test_an_exception_is_its_types_and_frames_and_not_its_message(log: Log) -> None:
    try:
        try:
            raise KeyError("marker-one")
        except KeyError as error:
            raise ValueError("marker-two") from error
    except ValueError as error:
        get_logger().error("failed", exc_info=error)
        logging.getLogger("library").exception("failed too")
    text = json.dumps(log())
    assert "marker" not in text
    assert "builtins.ValueError" in text
    assert "builtins.KeyError" in text
    assert "test_logging.py" in text


def test_secrets_are_redacted_wherever_they_stand(log: Log) -> None:
    get_logger().info("login", password="marker", nested={"jwt": "marker"}, url="http://me:marker@x/")
    logging.getLogger("library").warning("key fnt_abcdefabcdef_%s", "marker")
    assert "marker" not in json.dumps(log())


def test_a_line_is_a_line(log: Log) -> None:
    get_logger().info("one\ntwo", text="a\nb")
    logging.getLogger("library").info("one\ntwo")
    assert [line["event"] for line in log()] == ["one\ntwo", "one"]


def test_an_object_that_is_no_json_is_named_and_not_shown(log: Log) -> None:
    class Secretive:
        def __repr__(self) -> str:
            return "marker"

    get_logger().info("seen", what=Secretive(), kind=Secretive)
    (line,) = log()
    assert "marker" not in json.dumps(line)
    assert "Secretive" in line["what"]


def test_the_level_can_change_while_it_runs(log: Log) -> None:
    get_logger().debug("unseen")
    logging.getLogger("library").debug("unseen")
    set_level("debug")
    get_logger().debug("seen")
    logging.getLogger("library").debug("seen")
    assert [line["event"] for line in log()] == ["seen", "seen"]


@pytest.mark.parametrize("level", ["LOUD", "", "NOTSET", 7, None, ["DEBUG"]])
def test_what_is_no_level_is_refused_and_changes_nothing(log: Log, level: Any) -> None:
    before = logging.getLogger().level
    with pytest.raises(ValueError, match="is one of DEBUG, INFO, WARNING and ERROR"):
        set_level(level)
    assert logging.getLogger().level == before


def test_a_reader_that_went_away_stops_nobody(settings: ServiceSettings) -> None:
    stream = io.StringIO()
    configure(settings, stream)
    stream.close()
    get_logger().info("to nobody")
    configure(settings)


@pytest.mark.parametrize("text", ["%d items", "%s %s"])
def test_a_library_that_formats_wrongly_does_not_fail_us(log: Log, text: str) -> None:
    record = logging.LogRecord("library", logging.INFO, "x.py", 1, text, ("x",), None)
    (ours,) = [handler for handler in logging.getLogger().handlers if "fountain" in type(handler).__module__]
    ours.emit(record)
    assert log()[0]["event"] == text


class _Interrupted(_Lines):
    """Whenever its loop's thread has looked at what is held, another one writes a line before it goes on."""

    def __init__(self, stream: io.StringIO) -> None:
        self.others = 0
        super().__init__(stream)

    @property
    def _held(self) -> Any:
        seen = self._seen
        if threading.current_thread() is threading.main_thread():
            self.others += 1
            other = threading.Thread(target=self.msg, args=(b"other\n",))
            other.start()
            other.join()
        return seen

    @_held.setter
    def _held(self, held: Any) -> None:
        self._seen = held


async def test_no_line_is_lost_or_doubled_when_another_thread_writes_at_any_moment() -> None:
    stream = io.StringIO()
    lines = _Interrupted(stream)
    for number in range(6):
        lines.soon(b"%d\n" % number)
        if number == 3:
            lines.msg(b"at once\n")
        if number % 2:
            await asyncio.sleep(0)
    written = stream.getvalue().split()
    ours = [line for line in written if line.isdigit()]
    assert ours == ["0", "1", "2", "3", "4", "5"]
    assert written.count("at") == 1
    assert written.count("other") == lines.others > 6
