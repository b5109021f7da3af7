"""Who was cancelled."""

import asyncio

import pytest
from fountain_common.cancelling import meant_for_us


async def test_what_another_task_let_out_is_not_meant_for_us() -> None:
    other = asyncio.create_task(asyncio.Event().wait())
    other.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await other
    assert not meant_for_us(caught.value)


async def test_our_own_cancellation_is_and_no_other_error_beside_it() -> None:
    found: list[tuple[bool, bool]] = []

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            found.append((meant_for_us(error), meant_for_us(RuntimeError())))
            raise

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert found == [(True, False)]


async def test_a_time_limit_that_has_run_out_is_meant_for_us_while_it_ends_what_it_limits() -> None:
    found: list[bool] = []
    try:
        async with asyncio.timeout(0):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as error:
                found.append(meant_for_us(error))
                raise
    except TimeoutError:
        pass
    assert found == [True]
    other = asyncio.create_task(asyncio.Event().wait())
    other.cancel()
    (error,) = await asyncio.gather(other, return_exceptions=True)
    assert isinstance(error, asyncio.CancelledError)
    assert not meant_for_us(error), "and then it is over"
