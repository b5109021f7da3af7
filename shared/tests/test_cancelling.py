"""Who was cancelled."""

import asyncio
from contextlib import suppress

import pytest
from fountain_common.cancelling import end_if_cancelled


async def test_what_another_task_let_out_is_not_meant_for_us() -> None:
    other = asyncio.create_task(asyncio.Event().wait())
    other.cancel()
    with pytest.raises(asyncio.CancelledError):
        await other
    end_if_cancelled()


@pytest.mark.parametrize("made_of_it", ["itself", "another error", "nothing"])
async def test_our_own_cancellation_is_whatever_was_made_of_it(made_of_it: str) -> None:
    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if made_of_it == "another error":
                raise ConnectionError from None
            if made_of_it == "itself":
                raise

    async def call() -> None:
        with suppress(Exception, asyncio.CancelledError):
            await wait()
        end_if_cancelled()

    calling = asyncio.create_task(call())
    await asyncio.sleep(0)
    calling.cancel()
    await asyncio.wait([calling])
    assert calling.cancelled()


async def test_a_time_limit_that_has_run_out_is_over() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
    end_if_cancelled()
