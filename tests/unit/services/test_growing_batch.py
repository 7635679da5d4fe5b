"""A batch grows by what comes while it is written, and all of it is one batch (I1, I2, I3)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import pytest

from processor.core.records import Batch, Record, batch_of
from processor.core.rejections import RejectionBudget
from processor.errors import BrokerUnavailable, RejectionBudgetSpent, StoreUnavailable
from processor.services.ingest import Ingest, IngestPolicy, PromoterBeside
from processor.testing.broker import MemoryDeadLetters
from processor.testing.group import MemoryRecordSource
from processor.testing.store import MemoryProgressStore
from tests.builders import JOURNEY, a_journey, a_statement
from tests.unit.services.world import BROKER_AWAY, LETTERS, OURS, STATEMENTS, STORE_AWAY, World, pending

LONG = 100
"""Turns of the event loop that a write takes: enough for all that can be done beside it."""

Meanwhile = Callable[[], Awaitable[None] | None]


def an_actor(number: int) -> dict[str, Any]:
    return {"mbox": f"mailto:{number}@example.org"}


class SlowWrites:
    """Effects whose first writes take long; something happens at the beginning of each."""

    def __init__(self, world: World, *meanwhile: Meanwhile) -> None:
        self._effects = world.effects
        self._meanwhile = list(meanwhile)

    def __call__(self, effect: str) -> Awaitable[None] | None:
        self._effects(effect)
        return self._take_long() if effect == "append.progress.before" and self._meanwhile else None

    async def _take_long(self) -> None:
        happened = self._meanwhile.pop(0)()
        if happened:
            await happened
        for _ in range(LONG):
            await asyncio.sleep(0)


async def a_slow_ingest(world: World, *meanwhile: Meanwhile, **policy: Any) -> tuple[Ingest, MemoryRecordSource]:
    await world.journeys.refresh()
    member = await world.group.join(world.effects)
    store = MemoryProgressStore(world.database, SlowWrites(world, *meanwhile))
    letters, chosen = (
        MemoryDeadLetters(world.broker, LETTERS, world.effects),
        IngestPolicy(**{"tenancy": OURS, "least": 1, **policy}),
    )
    return Ingest(member, store, letters, world.journeys, chosen, world.around, PromoterBeside()), member


@pytest.mark.parametrize("more", [a_statement(2), a_statement(2, actor=an_actor(2))], ids=["same document", "another"])
async def test_i1_what_comes_while_it_is_written_is_written_and_committed_with_it(more: dict[str, Any]) -> None:
    world = World()
    world.send(a_statement(1))
    ingest, _ = await a_slow_ingest(world, lambda: world.send(more, b"not json"))
    assert await ingest.step() == 3
    *written, parked, committed = world.effects.done
    assert sorted(written) == ["append.progress"] * 2 + ["append.statement"] * 2
    assert (parked, committed) == ("park", "commit")
    assert sum(len(pending(document)) for document in world.documents) == 2
    assert (world.committed, world.letters) == (3, [b"not json"])
    assert (world.count("records_total"), world.count("statements_total"), world.count("matches_total")) == (3, 2, 2)
    assert await ingest.step() == 0


async def test_it_grows_as_long_as_something_comes() -> None:
    world = World()
    world.send(a_statement(1))
    several = [partial(world.send, a_statement(number, actor=an_actor(number))) for number in (2, 3, 4)]
    ingest, _ = await a_slow_ingest(world, *several)
    assert await ingest.step() == 4
    assert world.effects.done.count("commit") == 1
    assert len(world.documents) == 4


async def test_i2_all_of_it_comes_again_if_it_was_not_committed() -> None:
    world = World()
    world.send(a_statement(1))

    def failing() -> None:
        world.send(a_statement(2))
        world.effects.fail("append.progress.before", STORE_AWAY)  # the next write

    ingest, _ = await a_slow_ingest(world, failing)
    with pytest.raises(StoreUnavailable):
        await ingest.step()
    assert world.committed == 0
    assert await ingest.step() == 2
    assert world.committed == 2
    assert len(pending(world.documents[0])) == 2


async def test_it_does_not_grow_for_longer_than_it_may() -> None:
    world = World()
    world.send(a_statement(1))
    ingest, _ = await a_slow_ingest(world, lambda: world.send(a_statement(2)), growth=0.0)
    assert [await ingest.step(), await ingest.step()] == [1, 1]


class Asked(MemoryRecordSource):
    """Tells how often it was asked for more, and how often it has answered; brings what a test wants, for ever."""

    brings: Sequence[Record] = ()
    asked = 0
    answered = 0

    async def more(self, batch: Batch, until: Awaitable[object]) -> Batch | None:
        self.asked += 1
        if self.brings:
            await asyncio.sleep(0.001)
            self._in_hand = self._generation, batch.then(batch_of(self.brings))
        else:
            await until
        self.answered += 1
        return self._in_hand[1] if self.brings and self._in_hand else None


@pytest.mark.parametrize("brings", [(), (Record(STATEMENTS, 0, 1, 0, b"[]"),)], ids=["nothing", "always something"])
async def test_it_has_an_end_while_a_write_has_none(monkeypatch: pytest.MonkeyPatch, brings: Sequence[Record]) -> None:
    world, over = World(), asyncio.Event()
    monkeypatch.setattr("processor.testing.group.MemoryRecordSource", Asked)
    world.send(a_statement(1))

    async def held() -> None:
        await over.wait()

    ingest, member = await a_slow_ingest(world, held, growth=0.05)
    assert isinstance(member, Asked)
    member.brings = brings
    stepping = asyncio.create_task(ingest.step())
    async with asyncio.timeout(10):
        while not 0 < member.asked == member.answered:  # noqa: ASYNC110 - what is asked for has no event
            await asyncio.sleep(0.2)
    asked = member.asked
    await asyncio.sleep(0.2)
    assert not stepping.done()
    assert member.asked == member.answered == asked
    over.set()
    assert await stepping >= 1


async def test_i3_a_budget_is_not_spent_by_what_comes_later_and_is_good() -> None:
    """When it was checked at the end, a batch was parked and committed, and then the process stopped."""
    world = World()
    other = a_statement(9, verb={"id": "http://example.org/other"})
    world.send(*[other] * 4)
    budget = RejectionBudget(0.2, window=4)
    ingest, _ = await a_slow_ingest(world, lambda: world.send(other, other), budget=budget)
    assert await ingest.step() == 4
    world.send(a_statement(1), b"not json")
    assert await ingest.step() == 4
    assert (world.committed, world.letters, world.count("records_total")) == (8, [b"not json"], 8)
    world.send(*[other] * 4)
    assert await ingest.step() == 4, "nor by what is good and comes after it"


async def test_i3_what_it_grows_by_is_judged_for_itself() -> None:
    """As much that is good came before it would not have spared it in a batch of its own."""
    world = World()
    world.send(*map(a_statement, range(1, 5)))
    budget = RejectionBudget(0.5, window=2)
    ingest, _ = await a_slow_ingest(world, lambda: world.send(b"no", b"json", b"at all"), budget=budget)
    with pytest.raises(RejectionBudgetSpent, match=r"3 of the last 3 records.*nothing of statements-0\[0\.\.6\] was"):
        await ingest.step()
    assert (world.committed, world.letters) == (0, [])


async def test_it_does_not_grow_once_a_write_has_failed() -> None:
    world = World()
    world.send(a_statement(1))
    done: list[int] = []

    def sent() -> None:
        world.send(a_statement(2, actor=an_actor(2)))
        world.effects.fail("append.progress.before", STORE_AWAY)

    ingest, _ = await a_slow_ingest(world, sent, lambda: done.append(1))
    with pytest.raises(StoreUnavailable):
        await ingest.step()
    assert world.effects.done.count("append.progress") == 1
    assert world.committed == 0


async def test_it_does_not_grow_under_other_journeys() -> None:
    """The evidence of a batch is of one snapshot."""
    world = World()
    world.send(a_statement(1))

    async def edited() -> None:
        world.put(a_journey(_id=JOURNEY, name="edited"))
        await world.journeys.refresh()
        world.send(a_statement(2))

    ingest, _ = await a_slow_ingest(world, edited)
    assert [await ingest.step(), await ingest.step()] == [1, 1]


async def test_it_does_not_grow_when_the_process_ends() -> None:
    world = World()
    world.send(a_statement(1))

    def stopped() -> None:
        world.send(a_statement(2))
        world.around.stop.set()

    ingest, _ = await a_slow_ingest(world, stopped)
    assert await ingest.step() == 1
    assert world.committed == 1


async def test_trap_5_it_does_not_grow_while_a_rebalance_waits() -> None:
    world = World()
    world.send(a_statement(1))
    waiting: list[asyncio.Task[None]] = []

    async def rebalancing() -> None:
        waiting.append(asyncio.create_task(world.group.rebalance()))
        await asyncio.sleep(0)
        world.send(a_statement(2))

    ingest, _ = await a_slow_ingest(world, rebalancing)
    assert await ingest.step() == 1
    await waiting[0]
    assert world.committed == 1
    assert await ingest.step() == 1


async def test_a_poll_that_fails_meanwhile_does_not_fail_it() -> None:
    world = World()
    world.send(a_statement(1))

    def failing() -> None:
        world.send(a_statement(2))
        world.effects.fail("poll.before", BROKER_AWAY)

    ingest, _ = await a_slow_ingest(world, failing)
    assert await ingest.step() == 1
    assert world.committed == 1
    with pytest.raises(BrokerUnavailable):
        await ingest.step()
    assert await ingest.step() == 1
    assert world.committed == 2


async def test_i2_a_batch_that_another_member_has_by_now_is_not_committed_and_does_not_grow() -> None:
    world = World()
    world.send(a_statement(1))

    def lost() -> None:
        world.send(a_statement(2))
        world.group.revoke(member)

    ingest, member = await a_slow_ingest(world, lost)
    assert await ingest.step() == 1
    assert world.committed == 0
    assert world.count("lost_commits_total") == 1


async def test_the_promoter_is_told_of_each_write_and_not_of_the_batch() -> None:
    world = World()
    world.send(a_statement(1))
    told: list[bool] = []

    def second() -> None:
        told.append(ingest._promoter.appended.is_set())

    ingest, _ = await a_slow_ingest(world, lambda: world.send(a_statement(2)), second)
    assert await ingest.step() == 2
    assert told == [True]
