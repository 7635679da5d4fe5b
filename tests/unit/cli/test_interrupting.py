"""What a signal asks for is done, even when the first asking is swallowed."""

import asyncio
import os
import signal

import pytest

from processor.cli.interrupting import cancelled_by_signals, ignore_signals, interruption_translated
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
def test_once_cleaning_up_has_begun_a_signal_does_nothing(number: signal.Signals) -> None:
    done = []

    async def works() -> None:
        cancelled_by_signals()
        try:
            with interruption_translated():
                os.kill(os.getpid(), number)
                await asyncio.sleep(10)
        finally:
            ignore_signals()
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.05)
            done.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(works())
    assert done == ["cleaned up"]


async def test_a_cancellation_that_nobody_asked_for_is_a_bug() -> None:
    async def ends_cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(LoopDied), interruption_translated():
        await asyncio.create_task(ends_cancelled())
