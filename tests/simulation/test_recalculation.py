"""Recalculation beside a live stream, with crashes after any durable effect: at the end all is as in a fresh run."""

import os
import random
from collections.abc import Awaitable, Callable

import pytest

from processor.core.recalculation import Stage
from tests.simulation.recalculating import LEASE, Crash, World, a_waypoint, some_statements, the_journey

SEEDS = int(os.environ.get("JOURNEY_PROGRESS_SEEDS", "500")) // 20

BEFORE = the_journey(a_waypoint(0, "ab", 2), a_waypoint(1, "z"), isRepeatable=True)
AFTER = the_journey(a_waypoint(0, "bc", 2), a_waypoint(1, "c"), isRepeatable=True, version=2)


async def fresh(statements: list[dict[str, object]]) -> World:
    """The same statements under the last version from the start."""
    world = World()
    await world.save(AFTER)
    await world.live(*statements)
    await world.quiet()
    return world


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_i2_p1_p2_p3_a_recalculation_converges_with_the_live_stream(seed: int) -> None:
    dice = random.Random(seed)
    world = World()
    first, later = some_statements(dice, 14), some_statements(dice, 8, first=100)
    await world.save(BEFORE)
    await world.live(*first)
    if dice.random() < 0.5:
        await world.promote()

    await world.save(AFTER)
    world.start()
    world.crashes = lambda _: dice.random() < 0.08
    stream = list(later)
    slow: list[Callable[[], Awaitable[object]]] = []
    for _ in range(150):
        await one_of_them(world, dice, stream, slow)
    world.crashes = lambda _: False
    await world.live(*later)  # redelivered: what a crash has left out
    world.clock.pass_(LEASE * 2)
    await world.recalculated()
    await world.quiet()

    assert world.documents() == (await fresh(first + later)).documents()
    for document in world.database.progresses.values():
        processing = document["processing"]
        assert not any(entry["statements"] for entry in document["pendingProgress"].values())
        assert not processing.get("replay")
        revisions = [event.revision for event in processing.get("outbox", ())]
        assert revisions == list(range(1, processing["revision"] + 1))  # R1, R2


async def one_of_them(
    world: World,
    dice: random.Random,
    stream: list[dict[str, object]],
    slow: list[Callable[[], Awaitable[object]]],
) -> None:
    """One process does one step, and may die in it; a slow promoter writes some steps after it has read."""
    try:
        match dice.randrange(6):
            case 0 if stream:
                await world.live(stream.pop())
            case 1:
                await world.promote(limit=dice.randint(1, 3))
            case 2:
                world.clock.pass_(LEASE * dice.choice((0, 0, 0.5, 2)))
            case 3:
                slow.append(await world.claim_slowly())
            case 4 if slow:
                await slow.pop()()
            case _:
                await world.recalculator(chunk=dice.randint(1, 4)).step()
    except Crash:
        pass


async def test_every_document_is_folded_once_and_its_event_is_a_replay() -> None:
    world = World()
    statements = some_statements(random.Random(7), 30)
    await world.save(BEFORE)
    await world.live(*statements)
    await world.quiet()
    known = len(world.events())
    await world.save(AFTER)
    world.start()
    await world.recalculated()
    new = [event for event in world.events() if event.replay]
    assert len(world.events()) == known + len(new)
    assert len(new) == len({event.progress for event in new}) == 3
    assert world.documents() == (await fresh(statements)).documents()


async def test_nothing_is_published_for_what_does_not_change() -> None:
    world = World()
    await world.save(AFTER)
    await world.live(*some_statements(random.Random(3), 30))
    await world.quiet()
    known = world.events()
    world.start()
    await world.recalculated()
    assert world.events() == known


async def test_a_journey_saved_meanwhile_begins_again_under_its_new_version() -> None:
    world = World()
    statements = some_statements(random.Random(5), 30)
    await world.save(BEFORE)
    await world.live(*statements)
    await world.quiet()
    world.start()
    worker = world.recalculator()
    while world.work.recalculation.stage is not Stage.APPEND:
        await worker.step()
    await world.save(AFTER)
    await worker.step()
    assert (world.work.recalculation.stage, world.work.recalculation.version) == (Stage.RETRACT, None)
    await world.recalculated()
    await world.quiet()
    assert world.work.recalculation.version == 2
    assert world.documents() == (await fresh(statements)).documents()
