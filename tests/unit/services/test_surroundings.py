"""Waiting: out an outage, for a while, or until woken; and always until the process is asked to stop."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Literal

import pytest
from structlog.testing import capture_logs

from processor.errors import (
    BrokerUnavailable,
    EmbeddedUnavailable,
    InvalidInput,
    InvalidSettings,
    JourneyProgressError,
    LoopDied,
    Misfit,
    StoreUnavailable,
)
from processor.services.surroundings import Leasing, Surroundings, is_retriable
from tests.unit.services.world import BROKER_AWAY, STORE_AWAY, World

LONG = 3600.0


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    """An operation that fails like this, one after the other, and then answers."""
    waiting = list(errors)

    async def operation() -> str:
        if waiting:
            raise waiting.pop(0)
        return "done"

    return operation


@pytest.mark.parametrize(
    ("error", "retriable"),
    [
        (StoreUnavailable(), True),
        (BrokerUnavailable(), True),
        (Misfit(), False),
        (InvalidSettings(), False),
        (InvalidInput(), False),
        (EmbeddedUnavailable(), False),
        (LoopDied(), False),
        (JourneyProgressError(), False),
        (OSError(), False),
    ],
    ids=repr,
)
def test_the_errors_class_says_whether_waiting_helps(error: Exception, retriable: bool) -> None:
    assert is_retriable(error) is retriable


async def test_an_outage_is_waited_out_visibly() -> None:
    world = World()
    with capture_logs() as logs:
        assert await world.around.outlast("relay", failing(STORE_AWAY, BROKER_AWAY)) == "done"
    assert [(it["event"], it["loop"], it["tries"], it["log_level"]) for it in logs] == [
        ("unavailable, trying again", "relay", 1, "warning"),
        ("unavailable, trying again", "relay", 2, "warning"),
    ]
    assert [it["error"] for it in logs] == [str(STORE_AWAY), str(BROKER_AWAY)]
    assert world.count("outages_total", loop="relay") == 2


@pytest.mark.parametrize("error", [Misfit("no topic"), ValueError("a bug")], ids=repr)
async def test_what_waiting_cannot_mend_is_raised_at_once(error: Exception) -> None:
    world = World()
    with pytest.raises(type(error)):
        await world.around.outlast("relay", failing(error, error))
    assert world.count("outages_total", loop="relay") == 0


async def test_what_goes_well_leaves_the_collector_nothing_to_do() -> None:
    around = World().around
    gc.collect()
    gc.disable()
    try:
        for _ in range(100):
            await around.outlast("relay", failing())
        assert gc.collect() < 100
    finally:
        gc.enable()


async def test_when_asked_to_stop_the_last_error_is_raised() -> None:
    world = World()
    world.around.stop.set()
    with pytest.raises(StoreUnavailable):
        await world.around.outlast("relay", failing(STORE_AWAY, STORE_AWAY))
    assert await world.around.outlast("relay", failing()) == "done"


async def test_a_stop_ends_the_pause_between_two_tries() -> None:
    world = World()
    around = Surroundings(world.clock, world.metrics, backoff=LONG)

    async def operation() -> None:
        asyncio.get_running_loop().call_later(0.01, around.stop.set)
        raise STORE_AWAY

    async with asyncio.timeout(10):
        with pytest.raises(StoreUnavailable):
            await around.outlast("relay", operation)


async def test_a_pause_ends_when_woken_and_clears_what_woke_it() -> None:
    around, wake, other = World().around, asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().call_soon(wake.set)
    async with asyncio.timeout(10):
        await around.pause(LONG, wake, other)
    assert not wake.is_set()


async def test_a_pause_does_not_begin_when_the_wake_is_set_already() -> None:
    around, wake = World().around, asyncio.Event()
    wake.set()
    async with asyncio.timeout(10):
        await around.pause(LONG, wake)
    assert not wake.is_set()


async def test_a_pause_ends_when_asked_to_stop_which_stays_asked() -> None:
    around = World().around
    asyncio.get_running_loop().call_soon(around.stop.set)
    async with asyncio.timeout(10):
        await around.pause(LONG)
    assert around.stop.is_set()


async def test_a_pause_ends_by_itself_and_leaves_no_task() -> None:
    class Ours(asyncio.Event):
        async def wait(self) -> Literal[True]:
            return await super().wait()

    around = replace(World().around, stop=Ours())
    await around.pause(0.0, Ours())
    assert not [task for task in asyncio.all_tasks() if "Ours.wait" in repr(task)]


def test_p1_lock_keys_are_fresh_uuids() -> None:
    keys = {Leasing().new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key[14] == "4" for key in keys)


@pytest.mark.parametrize("turns", range(1, 12))
async def test_who_is_cancelled_while_it_pauses_hears_of_it(turns: int) -> None:
    """Also in the moment in which the pause ends by itself."""
    world = World()

    async def pausing() -> None:
        for _ in range(100):
            await world.around.pause(0.0)

    task = asyncio.create_task(pausing())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
