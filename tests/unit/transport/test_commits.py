"""Commits beside the next batches: in order, one request at a time, and nothing is forgotten that failed (I1)."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aiokafka import TopicPartition

from processor.errors import BrokerUnavailable
from processor.transport.commits import Commits, Offsets
from tests.simulation.loop import SimulatedLoop

ONE, OTHER = TopicPartition("statements", 0), TopicPartition("statements", 1)


class Group:
    """A group coordinator that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[Offsets] = []
        self.asked_again = asyncio.Event()
        self.answers: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def take(self, offsets: Offsets) -> None:
        if self.asked:
            self.asked_again.set()
        self.asked.append(offsets)
        if error := await self.answers.get():
            raise error

    async def answer(self, error: Exception | None = None) -> None:
        self.answers.put_nowait(error)
        for _ in range(5):
            await asyncio.sleep(0)


async def given(commits: Commits, offsets: Offsets) -> None:
    async with asyncio.timeout(1):
        await commits.room()
        commits.give(offsets)
        await asyncio.sleep(0)


async def test_nobody_waits_for_the_answer_and_what_comes_meanwhile_goes_together() -> None:
    group = Group()
    commits = Commits(group.take, pace=0)
    await given(commits, {ONE: 1})
    await given(commits, {ONE: 2, OTHER: 7})
    assert group.asked == [{ONE: 1}]
    await group.answer()
    assert group.asked == [{ONE: 1}, {ONE: 2, OTHER: 7}]
    await group.answer()
    await commits.settle()
    assert len(group.asked) == 2


async def test_no_more_than_one_batch_waits() -> None:
    group = Group()
    commits = Commits(group.take, pace=0)
    await given(commits, {ONE: 1})
    await given(commits, {ONE: 2})
    third = asyncio.create_task(given(commits, {ONE: 3}))
    await asyncio.sleep(0)
    assert not third.done()
    await group.answer()
    await third
    await group.answer()
    await group.answer()
    await commits.settle()
    assert group.asked == [{ONE: 1}, {ONE: 2}, {ONE: 3}]


async def test_what_failed_is_told_once_and_tried_again_under_what_came_later() -> None:
    group = Group()
    commits = Commits(group.take, pace=0)
    await given(commits, {ONE: 1, OTHER: 1})
    await given(commits, {ONE: 2})
    await group.answer(BrokerUnavailable("away"))
    with pytest.raises(BrokerUnavailable):
        await commits.room()
    commits.go_on()
    await group.answer()
    await commits.settle()
    assert group.asked[1:] == [{ONE: 2, OTHER: 1}]


async def test_settling_waits_for_all_and_tells_what_failed() -> None:
    group = Group()
    commits = Commits(group.take, pace=0)
    await commits.settle()
    await given(commits, {ONE: 1})
    settling = asyncio.create_task(commits.settle())
    await asyncio.sleep(0)
    assert not settling.done()
    await group.answer(BrokerUnavailable("away"))
    with pytest.raises(BrokerUnavailable):
        await settling


async def test_i1_what_is_dropped_is_never_sent_again() -> None:
    group = Group()
    commits = Commits(group.take, pace=0)
    await given(commits, {ONE: 1})
    await given(commits, {ONE: 2})
    await commits.drop()
    await group.answer()
    await commits.settle()
    commits.go_on()
    assert group.asked == [{ONE: 1}]


async def test_who_waits_for_room_while_all_is_dropped_sends_nothing_of_it() -> None:
    """What was dropped must not go under the group's next generation."""
    group = Group()
    commits = Commits(group.take, pace=0)
    await given(commits, {ONE: 1})
    await given(commits, {ONE: 2})
    waiting = asyncio.create_task(commits.room())
    await asyncio.sleep(0)
    await commits.drop()
    await waiting
    await group.answer()
    assert group.asked == [{ONE: 1}]


HOUR = 3600.0


def in_simulated_time(test: Callable[[SimulatedLoop], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test on a loop whose time moves only while everybody waits, however slow the machine is."""

    def run() -> None:
        def idle() -> None:
            seconds = loop.next_timer()
            assert seconds is not None, "everybody waits for ever"
            loop.elapse(seconds)

        loop = SimulatedLoop(idle)
        try:
            loop.run_until_complete(test(loop))
        finally:
            loop.close()

    return run


@in_simulated_time
async def test_what_comes_within_the_pace_is_one_commit(loop: SimulatedLoop) -> None:
    group = Group()
    commits = Commits(group.take, pace=0.5)
    for offset in range(1, 6):
        await given(commits, {ONE: offset})
        await group.answer()
    assert group.asked == [{ONE: 1}]
    await group.asked_again.wait()
    assert loop.time() == 0.5
    assert group.asked == [{ONE: 1}, {ONE: 5}]


@in_simulated_time
async def test_the_pace_is_kept_after_a_request_that_came_late(loop: SimulatedLoop) -> None:
    """Its own time counts, not when it should have been sent, which was nearly a pace ago."""
    group = Group()
    commits = Commits(group.take, pace=0.5)
    await given(commits, {ONE: 1})
    await group.answer()
    await given(commits, {ONE: 2})
    loop.elapse(0.95)  # it is busy with something else
    await group.asked_again.wait()
    await group.answer()
    await given(commits, {ONE: 3})
    await asyncio.sleep(0.2)
    assert group.asked == [{ONE: 1}, {ONE: 2}]
    await group.answer()
    await settled(commits)


@pytest.mark.parametrize("is_given_up", [False, True])
async def test_who_waits_for_all_waits_for_no_pace_which_counts_again_afterwards(is_given_up: bool) -> None:
    group = Group()
    commits = Commits(group.take, pace=HOUR)
    await given(commits, {ONE: 1})
    await group.answer()
    await given(commits, {ONE: 2})
    settling = asyncio.create_task(settled(commits))
    await asyncio.sleep(0)
    if is_given_up:
        settling.cancel()
        await asyncio.gather(settling, return_exceptions=True)
    await group.answer()
    await asyncio.gather(settling, return_exceptions=True)
    assert group.asked == [{ONE: 1}, {ONE: 2}]
    await given(commits, {ONE: 3})
    await asyncio.sleep(0.01)
    assert len(group.asked) == 2
    await commits.drop()


async def test_a_failure_is_told_though_the_pace_is_not_over() -> None:
    group = Group()
    commits = Commits(group.take, pace=HOUR)
    await given(commits, {ONE: 1})
    await group.answer(BrokerUnavailable("away"))
    with pytest.raises(BrokerUnavailable):
        await commits.room()
    await group.answer()
    await settled(commits)
    assert group.asked == [{ONE: 1}, {ONE: 1}]


@in_simulated_time
async def test_what_waits_for_the_pace_is_dropped_and_nobody_goes_on_with_it(loop: SimulatedLoop) -> None:
    group = Group()
    commits = Commits(group.take, pace=0.5)
    await given(commits, {ONE: 1})
    await group.answer()
    await given(commits, {ONE: 2})
    await commits.drop()
    await asyncio.sleep(0.7)
    assert group.asked == [{ONE: 1}]
    await given(commits, {ONE: 3})
    await group.answer()
    await settled(commits)
    assert group.asked == [{ONE: 1}, {ONE: 3}]
    assert loop.time() == 0.7, "the pace was over"


async def settled(commits: Commits) -> None:
    async with asyncio.timeout(5):
        await commits.settle()
