"""What a signal asks for is done, even when the first asking is swallowed."""

import asyncio
import os
import signal

import pytest

from processor.cli.interrupting import cancelled_by_signals


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
