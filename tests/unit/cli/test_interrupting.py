"""What a signal asks for is done, even when the first asking is swallowed."""

import asyncio
import os
import signal
from contextlib import suppress

import pytest

from processor.cli.interrupting import cancelled_by_signals, interruption_translated, second_signal
from processor.errors import LoopDied


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_work_whose_cancellation_was_swallowed_ends_at_its_next_step(number: signal.Signals) -> None:
    steps = []

    async def works() -> None:
        heed = cancelled_by_signals()
        heed()
        os.kill(os.getpid(), number)
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            steps.append("swallowed")
        heed()
        steps.append("went on")

    outcome = await asyncio.gather(works(), return_exceptions=True)
    loop = asyncio.get_running_loop()
    assert [loop.remove_signal_handler(it) for it in (signal.SIGINT, signal.SIGTERM)] == [True, True]
    assert isinstance(outcome[0], asyncio.CancelledError)
    assert steps == ["swallowed"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_an_interrupt(number: signal.Signals) -> None:
    async def works() -> None:
        cancelled_by_signals()
        with interruption_translated():
            os.kill(os.getpid(), number)
            await asyncio.sleep(10)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(works())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("is_interrupted", [True, False])
def test_once_cleaning_up_has_begun_one_signal_does_not_stop_it_and_two_do(
    number: signal.Signals, is_interrupted: bool
) -> None:
    """Whether the first comes before the cleaning up begins or after."""
    seen = []

    async def works() -> None:
        cancelled_by_signals()
        if is_interrupted:
            os.kill(os.getpid(), number)
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(10)
        second = second_signal()
        if not is_interrupted:
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.05)
        seen.append(second.is_set())
        os.kill(os.getpid(), number)
        async with asyncio.timeout(10):
            await second.wait()
        seen.append(second.is_set())

    asyncio.run(works())
    assert seen == [False, True]


async def test_a_cancellation_that_nobody_asked_for_is_a_bug() -> None:
    async def ends_cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(LoopDied), interruption_translated():
        await asyncio.create_task(ends_cancelled())
