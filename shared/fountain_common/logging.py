"""JSON logs, one object a line, for our own lines and for those of uvicorn and other libraries alike.

Every line has `timestamp level service instance event`, and inside a request `request_id` and `trace_id`.
Exceptions are logged as their types and stack frames: their messages may quote what a caller sent.
"""

import asyncio
import logging
import sys
import traceback
from collections import deque
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO, cast, get_args

import orjson

from fountain_common.lean import structlog
from fountain_common.redaction import redact
from fountain_common.requests import RequestContext, current
from fountain_common.settings import LogLevel, ServiceSettings

LEVELS: tuple[str, ...] = get_args(LogLevel)
_FRAMES = 12
_CAUSES = 4
_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE


class _Lines:
    """Writes lines, ended already, to a text stream or stdout; a reader that went away stops nobody."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        # Threads take from it what the loop puts in: a line at a time, so that each is one's alone.
        self._held: deque[bytes] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    def msg(self, line: bytes) -> None:
        """Write a line at once, behind what is held."""
        self._write(b"".join((*self._take(), line)) if self._held else line)

    def soon(self, line: bytes) -> None:
        """Write a line with all others of this turn of the event loop: one call of the system for many."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.msg(line)
            return
        # What another loop left behind goes with this one's.
        if not self._held or loop is not self._loop:
            self._loop = loop
            loop.call_soon(self._let_go)
        self._held.append(line)

    def _let_go(self) -> None:
        if taken := self._take():
            self._write(b"".join(taken))

    def _take(self) -> list[bytes]:
        held, taken = self._held, []
        try:
            while held:
                taken.append(held.popleft())
        except IndexError:
            pass  # another thread was quicker
        return taken

    def _write(self, line: bytes) -> None:
        stream = self._stream or sys.stdout
        raw = getattr(stream, "buffer", None)
        try:
            if raw is not None:
                raw.write(line)
                raw.flush()
            else:
                stream.write(line.decode())
        except (BrokenPipeError, ValueError):
            return

    debug = info = warning = error = critical = exception = log = msg


class _Process:
    """Who writes, where to, and from which level on."""

    def __init__(self, service: str = "", instance: str = "", level: int = logging.INFO) -> None:
        self.service, self.instance, self.level = service, instance, level
        self.lines = _Lines()


_process = _Process()


def log_request(request: RequestContext, *, quiet: bool, **fields: object) -> None:
    """Write the one line of a request that has been answered.

    It has the form of every other line and skips their processors: its fields are ours alone, with nothing in
    them to redact, and each request pays for it.
    """
    level = logging.DEBUG if quiet else logging.INFO
    if level < _process.level:
        return
    _process.lines.soon(
        orjson.dumps(
            {
                "timestamp": datetime.now(UTC),
                "level": "debug" if quiet else "info",
                "service": _process.service,
                "instance": _process.instance,
                "event": "request",
                "request_id": request.request_id,
                "trace_id": request.trace_id,
                **fields,
            },
            option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE,
        )
    )


def get_logger(**fields: object) -> structlog.stdlib.BoundLogger:
    """Return a logger: the event in snake words, the rest as fields: `log.info("renewed", peer=name)`."""
    return cast("structlog.stdlib.BoundLogger", structlog.get_logger(**fields))


def exception_fields(error: BaseException) -> dict[str, Any]:
    """Describe an exception by types and frames, causes included, without its message."""
    chain: list[dict[str, Any]] = []
    cause: BaseException | None = error
    while cause is not None and len(chain) < _CAUSES:
        frames = traceback.extract_tb(cause.__traceback__)[-_FRAMES:]
        chain.append(
            {
                "type": f"{type(cause).__module__}.{type(cause).__qualname__}",
                "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
            }
        )
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return {"exception": chain}


def _exceptions(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    info = fields.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()[1]
    elif isinstance(info, tuple):
        info = info[1]
    if isinstance(info, BaseException):
        fields.update(exception_fields(info))
    return fields


def _redacted(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return cast("MutableMapping[str, Any]", redact(dict(fields)))


def _render(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> bytes:
    return orjson.dumps(dict(fields), default=_shown, option=_OPTIONS)


def _shown(value: object) -> str:
    return value.__name__ if isinstance(value, type) else f"<{type(value).__qualname__}>"


def _context(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    fields["service"], fields["instance"] = _process.service, _process.instance
    request = current()
    if request is not None:
        fields.setdefault("request_id", request.request_id)
        fields.setdefault("trace_id", request.trace_id)
    return fields


class _FromStdlib(logging.Handler):
    """Passes the lines of libraries that use the standard library through the same processors."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        try:
            # A line whose arguments do not fit is a bug of the library; it must not become ours.
            event = record.getMessage()
        except (TypeError, ValueError):
            event = str(record.msg)
        level = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
        write = getattr(structlog.get_logger(), level, structlog.get_logger().info)
        write(event.splitlines()[0] if event else "", **fields)


def configure(settings: ServiceSettings, stream: TextIO | None = None) -> None:
    """Make all logging of this process JSON lines on the stream (stdout if not given)."""
    level = logging.getLevelNamesMapping()[settings.log_level]
    _process.service, _process.instance, _process.level = settings.service_name, settings.instance_id, level
    _process.lines = _Lines(stream)
    structlog.configure(
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
            structlog.processors.add_log_level,
            _context,
            _exceptions,
            _redacted,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _process.lines,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [_FromStdlib()]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        library = logging.getLogger(name)
        library.handlers, library.propagate = [], True
    # Requests are logged once, by us, without their query.
    logging.getLogger("uvicorn.access").disabled = True
    for name in ("httpx2", "httpcore2", "httpx", "httpcore", "alembic.runtime.plugins"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def set_level(level: str) -> None:
    """Change the level of the running process, for our lines and the libraries'.

    Args:
        level: as the setting `log_level` has it, in upper or lower case.

    Raises:
        ValueError: it is none of these; nothing has changed.
    """
    name = str(level).upper()
    if name not in LEVELS:
        # Without what was given: it may come from an event, and this sentence may be logged.
        raise ValueError(f"A log level is one of {', '.join(LEVELS[:-1])} and {LEVELS[-1]}.")
    number = logging.getLevelNamesMapping()[name]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(number))
    logging.getLogger().setLevel(number)
    _process.level = number
