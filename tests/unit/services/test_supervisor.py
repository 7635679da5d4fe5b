"""Loops run until they are asked to stop, are drained within one deadline, and a bug in one stops all."""

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from processor.errors import InvalidSettings, LoopDied, Misfit
from processor.services.supervisor import Loop, supervise
from tests.unit.services.world import STORE_AWAY, World

LONG = 3600.0
"""A rest or a deadline that no test waits for."""


class Step:
    """A step that reports when it is under way and ends when it is let."""

    def __init__(self) -> None:
        self.began, self.may_end = asyncio.Event(), asyncio.Event()
        self.ended = 0

    async def __call__(self) -> int:
        self.began.set()
        await asyncio.sleep(0)  # as every real step waits for a server
        await self.may_end.wait()
        self.ended += 1
        return 1


async def bug() -> int:
    raise ZeroDivisionError("the bug that the test wants")


async def test_a_step_in_hand_is_finished_within_the_deadline_and_no_other_begun() -> None:
    world, step = World(), Step()
    running = asyncio.create_task(supervise([Loop("one", step)], world.around, LONG))
    await step.began.wait()
    world.around.stop.set()
    step.may_end.set()
    await running
    assert step.ended == 1


async def test_what_is_not_finished_by_the_deadline_is_cancelled_and_named() -> None:
    world, stuck = World(), Step()
    with capture_logs() as logs:
        running = asyncio.create_task(supervise([Loop("stuck", stuck)], world.around, deadline=0.0))
        await stuck.began.wait()
        world.around.stop.set()
        await running
    assert stuck.ended == 0
    told = [(entry["event"].partition(" ")[0], entry["loops"]) for entry in logs if "loops" in entry]
    assert told == [("running", ["stuck"]), ("cancelled", ["stuck"])]


async def test_loops_run_beside_each_other_and_come_round_again() -> None:
    world = World()
    rounds = {"one": 0, "two": 0}

    def loop(name: str) -> Loop:
        async def step() -> int:
            rounds[name] += 1
            if min(rounds.values()) == 3:
                world.around.stop.set()
            await asyncio.sleep(0)
            return 1

        return Loop(name, step)

    await supervise([loop("one"), loop("two")], world.around, LONG)
    assert min(rounds.values()) >= 3
    assert all(world.count("loop_progressed_timestamp_seconds", loop=name) > 0 for name in rounds)


async def test_a_loop_that_is_at_its_first_step_has_progressed_when_it_began() -> None:
    world, step = World(), Step()
    before = time.time()
    running = asyncio.create_task(supervise([Loop("one", step)], world.around, LONG))
    await step.began.wait()
    assert world.count("loop_progressed_timestamp_seconds", loop="one") >= before
    world.around.stop.set()
    step.may_end.set()
    await running


async def test_an_idle_loop_rests_until_it_is_woken() -> None:
    world, wake = World(), asyncio.Event()
    rounds = 0

    async def step() -> int:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            asyncio.get_running_loop().call_soon(wake.set)
        else:
            world.around.stop.set()
        return 0

    async with asyncio.timeout(10):
        await supervise([Loop("idle", step, LONG, wake)], world.around, LONG)
    assert rounds == 2
    assert not wake.is_set()


async def test_a_loop_that_takes_batches_goes_on_only_after_a_full_one() -> None:
    """What a step left over is a batch at least; after less there is nothing until it is woken."""
    world, wake = World(), asyncio.Event()
    batches, told = [3, 3, 2, 0], list[str]()

    def awake() -> None:
        told.append("woken")
        wake.set()

    async def step() -> int:
        done = batches.pop(0)
        told.append(f"did {done}")
        if done == 2:
            asyncio.get_running_loop().call_later(0.05, awake)
        if not done:
            world.around.stop.set()
        return done

    async with asyncio.timeout(10):
        await supervise([Loop("batches", step, LONG, wake, full=3)], world.around, LONG)
    assert told == ["did 3", "did 3", "did 2", "woken", "did 0"]


async def test_a_bug_in_a_loop_stops_all_and_leaves_its_traceback_in_the_log() -> None:
    world, other = World(), Step()
    other.may_end.set()
    with capture_logs() as logs, pytest.raises(LoopDied, match=r"'broken' died.*the bug that the test wants") as raised:
        await supervise([Loop("other", other), Loop("broken", bug)], world.around, LONG)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert world.around.stop.is_set()
    assert other.ended
    [line] = [entry for entry in logs if entry["event"] == "loop died"]
    assert (line["log_level"], line["exc_info"]) == ("error", True)


async def test_a_loop_that_ends_cancelled_though_nobody_asked_has_died() -> None:
    """A client does so that takes the end of a task of its own for the caller's."""
    world, other = World(), Step()
    other.may_end.set()

    async def cancelled() -> int:
        raise asyncio.CancelledError

    with capture_logs() as logs, pytest.raises(LoopDied, match=r"'broken' died.*CancelledError"):
        await supervise([Loop("other", other), Loop("broken", cancelled)], world.around, LONG)
    assert other.ended
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["loop died"]


@pytest.mark.parametrize("error", [Misfit("a topic is missing"), InvalidSettings("LEASE is wrong")], ids=repr)
async def test_an_error_that_says_what_to_mend_is_raised_as_it_is(error: Exception) -> None:
    async def step() -> int:
        raise error

    with capture_logs() as logs, pytest.raises(type(error)) as raised:
        await supervise([Loop("one", step)], World().around, LONG)
    assert raised.value is error
    assert not [entry for entry in logs if entry["event"] == "loop died"]


async def test_an_outage_is_waited_out_and_the_loop_goes_on() -> None:
    world = World()
    tries = 0

    async def step() -> int:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise STORE_AWAY
        world.around.stop.set()
        return 1

    await supervise([Loop("one", step)], world.around, LONG)
    assert tries == 4
    assert world.count("outages_total", loop="one") == 3


async def test_stopping_in_an_outage_is_no_failure() -> None:
    world = World()

    async def step() -> int:
        world.around.stop.set()
        raise STORE_AWAY

    await supervise([Loop("one", step)], world.around, LONG)


async def test_cancelling_the_supervisor_cancels_its_loops() -> None:
    world, step = World(), Step()
    running = asyncio.create_task(supervise([Loop("one", step)], world.around, LONG))
    await step.began.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [task for task in asyncio.all_tasks() if task.get_name() == "one"] == []
