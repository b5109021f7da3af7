"""Deliveries to services: those that hang slow nobody, and an answer of any length is read in part."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fountain_common.connections import Connections
from notification.sender import MAX_ANSWER_BYTES, MAX_READ_BYTES, Answer
from notification.service_sender import ServiceSender


class Directory:
    """Knows one address, whatever is asked for."""

    def __init__(self, url: str) -> None:
        self.url = url

    def failed(self, _url: str) -> None:
        pass

    def answered(self, _url: str) -> None:
        pass

    def who(self, url: str) -> str:
        return url

    def known(self, _name: str) -> int:
        return 1

    async def resolve(self, _name: str) -> str:
        return self.url


class Around:
    """What a sender needs of a platform."""

    tokens = issuer = None

    def __init__(self, url: str) -> None:
        self.connections, self.discovery = Connections(), Directory(url)


@asynccontextmanager
async def serving(handle: Any) -> AsyncIterator[str]:
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await handle(writer)
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("head", [b"", b"Content-Encoding: gzip\r\n"])
def test_of_an_endless_answer_the_beginning_is_read(head: bytes) -> None:
    async def run() -> tuple[Answer, int]:
        sent = 0
        gone = asyncio.Event()

        async def endless(writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 1000000000\r\n\r\n")
            try:
                while True:
                    writer.write(b"x" * 4096)
                    await writer.drain()
                    sent += 4096
            finally:
                gone.set()

        async with serving(endless) as url:
            sender = ServiceSender("echo", Around(url), 20)  # type: ignore[arg-type]
            answer = await sender.send({}, b"{}")
            async with asyncio.timeout(10):
                await gone.wait()
            await sender.close()
        return answer, sent

    answer, sent = asyncio.run(run())
    assert (answer.status, answer.body) == (200, b"x" * MAX_ANSWER_BYTES)
    assert sent > MAX_READ_BYTES


def test_senders_to_services_that_hang_take_no_connection_from_another() -> None:
    async def run() -> int:
        waiting, all_wait, released = 0, asyncio.Event(), asyncio.Event()

        async def hang(_writer: asyncio.StreamWriter) -> None:
            nonlocal waiting
            waiting += 1
            if waiting == 25 * 9:
                all_wait.set()
            await released.wait()

        async def answer(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()

        async with serving(hang) as stuck, serving(answer) as well:
            around = Around(stuck)
            senders = [ServiceSender("stuck", around, 60) for _ in range(25)]  # type: ignore[arg-type]
            hanging = [asyncio.create_task(sender.send({}, b"{}")) for sender in senders for _ in range(9)]
            async with asyncio.timeout(20):
                await all_wait.wait()
                around.discovery.url = well
                other = ServiceSender("well", around, 20)  # type: ignore[arg-type]
                status = (await other.send({}, b"{}")).status
            assert not any(task.done() for task in hanging)
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)
            for sender in (*senders, other):
                await sender.close()
        return status

    assert asyncio.run(run()) == 204
