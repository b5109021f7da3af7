"""Starts a service: fetch the secrets and the signing keys, with patience, then serve the application in the
same process.

    if __name__ == "__main__":
        run(Settings, "main:app")

Secrets go from the Secrets Manager into memory, and nowhere else.
"""

import asyncio
import gc
import importlib
import os
import random
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import uvloop

from fountain_common import migrator
from fountain_common.connection import BreakableProtocol
from fountain_common.errors import Problem
from fountain_common.lean_server import uvicorn
from fountain_common.logging import configure, get_logger
from fountain_common.platform import Platform, create_platform, hand_over
from fountain_common.settings import ServiceSettings, load

EXIT_UNAVAILABLE = 69
"""EX_UNAVAILABLE of sysexits.h: what this service needs has not come up in time."""
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 1.0
ATTEMPT_SECONDS = 5.0
KEEP_ALIVE_SECONDS = 75
WITHDRAW_SECONDS = 5.0
_BACKLOG = 2048
_NEW_OBJECTS = 50_000
"""So many objects may come, and not go again, until those are looked for that only refer to each other."""

TLS = ssl.SSLContext | Callable[[], ssl.SSLContext]


def run(
    settings_class: type[ServiceSettings],
    application: str = "main:app",
    *,
    secrets: bool = True,
    tls: TLS | None = None,
) -> None:
    """Run a service until it is told to stop; ends the process.

    Exit codes: 0 after SIGTERM or SIGINT, 69 when the secrets or signing keys could not be had within
    `boot_deadline_seconds`, 78 for settings that are wrong, 3 when the application does not start.

    Args:
        settings_class: the service's own.
        application: `module:attribute`; imported once the secrets are there.
        secrets: False for those that have none to fetch: the Secrets Manager itself and the gateway.
        tls: the context to serve with, or what answers it once the application is imported; plain HTTP if not
            given.
    """
    settings = load(settings_class)
    # The application reads its settings for itself; it is to be the same instance as we are.
    os.environ["FOUNTAIN_INSTANCE_ID"] = settings.instance_id
    configure(settings)
    if _has_migrations(settings_class):
        migrator.stand_by()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_boot_and_serve(settings, application, secrets=secrets, tls=tls))
    sys.exit(code)


def _has_migrations(settings_class: type[ServiceSettings]) -> bool:
    """Tell whether the service's package has a database's migrations beside its settings."""
    file = sys.modules[settings_class.__module__].__file__
    return file is not None and Path(file).with_name("migrations").is_dir()


async def _boot_and_serve(
    settings: ServiceSettings, application: str, *, secrets: bool, tls: TLS | None
) -> int:
    try:
        with _signals_cancel():
            async with _boot(settings) if secrets else nullcontext("") as reason:
                if not reason:
                    module, _, attribute = application.partition(":")
                    app = getattr(importlib.import_module(module), attribute or "app")
                    context = tls() if callable(tls) else tls
                    # A signal that came while it was imported is heard here.
                    await asyncio.sleep(0)
                    return await serve(app, settings, context)
            get_logger().critical(
                "start_given_up", reason=reason, after_seconds=settings.boot_deadline_seconds
            )
            return EXIT_UNAVAILABLE
    except asyncio.CancelledError:
        get_logger().info("stopped_before_it_served")
        return 0


@contextmanager
def _signals_cancel() -> Iterator[None]:
    """End the current task by SIGTERM and SIGINT, until the server sets handlers of its own."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None  # noqa: S101 - for the type checker

    def cancel(_signal: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(task.cancel)

    before = {each: signal.signal(each, cancel) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@asynccontextmanager
async def _boot(settings: ServiceSettings) -> AsyncIterator[str]:
    """Fetch what a start needs, and have the next platform take it; answers why it could not be had, or "".

    However the start ends, the Secrets Manager is told: no rotation is to wait for a process that has gone.
    """
    platform = create_platform(settings)
    try:
        reason = await fetch_what_it_needs(platform, settings.boot_deadline_seconds)
        if not reason:
            hand_over(platform)
        yield reason
    finally:
        # Where the application has run and ended, this has been said, and nothing more is sent.
        if platform.secrets is not None:
            await platform.secrets.stop()
        await platform.close()


async def fetch_what_it_needs(
    platform: Platform, deadline_seconds: float, *, monotonic: Callable[[], float] = time.monotonic
) -> str:
    """Fetch the secrets and the signing keys, again and again with backoff, one log line an attempt.

    Both before it listens. At the address of one that was killed, requests come before it is registered:
    whoever cannot be reached there is tried at another instance, and whoever is refused is not.

    Args:
        platform: whose secrets.
        deadline_seconds: when to give up.
        monotonic: seconds.

    Returns:
        "" once both are held, or why they could not be had in time.
    """
    if platform.secrets is None:
        return ""
    deadline = monotonic() + deadline_seconds
    attempt = 0
    while True:
        attempt += 1
        left = deadline - monotonic()
        reason = await _attempt(platform, min(ATTEMPT_SECONDS, max(0.1, left)))
        if not reason:
            return ""
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(attempt - 1, 10))
        pause *= 0.5 + 0.5 * random.random()  # noqa: S311 - spreads load
        if monotonic() + pause >= deadline:
            return reason
        get_logger().warning(
            "secrets_not_fetched_yet", attempt=attempt, reason=reason, next_attempt_in_seconds=round(pause, 2)
        )
        await asyncio.sleep(pause)


async def _attempt(platform: Platform, seconds: float) -> str:
    assert platform.secrets is not None  # noqa: S101 - for the type checker
    try:
        async with asyncio.timeout(seconds):
            await platform.secrets.fetch()
            await platform.verifier.fetch()
    except Problem as problem:
        return problem.detail or problem.title
    except TimeoutError:
        missing = platform.identity.missing if platform.identity is not None else ""
        if missing:
            return f"{missing} is not there; the Secrets Manager makes one for each of its FOUNTAIN_SERVICES."
        return "The Secrets Manager did not answer in time."
    return ""


class _Server(uvicorn.Server):
    """Uvicorn, which tells the platform before it closes its sockets.

    On the first signal the instance leaves the map, so that nobody is sent here any more, and then stops
    listening; a second signal ends it at once.
    """

    platform: Any = None
    _draining: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and then put aside what stays for good."""
        await super().startup(sockets)
        _settle_memory()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self._draining is not None or self.should_exit:
            self.should_exit = self.force_exit = True
            return
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(self._begin_to_stop, signal.Signals(sig).name)

    def _begin_to_stop(self, name: str) -> None:
        if self._draining is None:
            get_logger().info("stopping", signal=name)
            self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        # The lease is given up now, and not once the last open answer has ended: it could lead nobody here.
        withdraw = getattr(self.platform, "withdraw", None)
        try:
            if withdraw is not None:
                async with asyncio.timeout(WITHDRAW_SECONDS):
                    await withdraw()
        except TimeoutError:
            get_logger().warning("withdrawal_took_too_long")
        finally:
            self.should_exit = True


async def serve(app: Any, settings: ServiceSettings, tls: ssl.SSLContext | None = None) -> int:
    """Serve an application until a signal comes; answers the process's exit code.

    The socket listens before the application starts: who is told of this instance can connect, and is
    answered once the start is done.
    """
    config = uvicorn.Config(
        app,
        http=BreakableProtocol,
        loop="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        ws_max_size=settings.max_body_bytes,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_grace_seconds)),
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
    )
    server = _Server(config)
    server.platform = getattr(app.state, "platform", None)
    try:
        listener = _listen(settings.host, settings.port)
    except OSError as error:
        get_logger().critical("cannot_listen", host=settings.host, port=settings.port, reason=error.strerror)
        return EXIT_UNAVAILABLE
    with listener:
        get_logger().info("listening", host=settings.host, port=settings.port, tls=tls is not None)
        await server.serve(sockets=[listener])
    return 0


def _settle_memory() -> None:
    # What a start made stays for good: no collection looks through it again while a request waits. And what
    # requests leave behind is freed without one, but for a few circles: it need not look for these at every
    # thirtieth request, among all that the requests under way have in hand.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener
