"""The journeys in force while the stream runs: one snapshot, refreshed; and the documents that a change wakes."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from processor.core.policy import FoldingPolicy
from processor.core.promotion import promote
from processor.services.journeys import JourneyWatch
from tests.builders import JOURNEY, a_journey, an_append, at
from tests.unit.services.world import World

AGAIN = timedelta(seconds=80)
BROKEN: dict[str, Any] = {"waypoints": [{"_id": "0" * 24, "isActive": True, "conditions": {"$where": "1"}}]}


def a_watch(world: World, has_promoter: bool = True) -> JourneyWatch:
    store = world.store if has_promoter else None
    return JourneyWatch(world.journeys, world.catalog, world.around, store, AGAIN)


async def a_waiting_document(world: World) -> dict[str, Any]:
    """A document that was promoted while its journey was not running."""
    await world.append(an_append())
    now = world.clock.now()
    claim = await world.other.claim("key", now, now, 1)
    await world.other.apply(claim, [promote(claim.documents[0], None, FoldingPolicy(), now)], now)
    return world.documents[0]


async def test_a_refresh_swaps_the_snapshot_whole() -> None:
    world = World()
    await world.journeys.refresh()
    before = world.journeys.index
    world.put(a_journey(_id=JOURNEY, version=2), a_journey())
    await world.journeys.refresh()
    assert [rules.version for rules in before.journeys.values()] == [1]
    assert len(world.journeys.index.journeys) == 2


async def test_p3_of_two_refreshes_the_older_reading_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A promoter may refresh while the watch does; a change is told once, so nobody would read the newer one again."""
    world = World()
    await world.journeys.refresh()
    slow, load = asyncio.Event(), world.catalog.load

    async def load_slowly() -> Sequence[Mapping[str, Any]]:
        monkeypatch.setattr(world.catalog, "load", load)
        read = await load()
        await slow.wait()
        return read

    monkeypatch.setattr(world.catalog, "load", load_slowly)
    refreshing = [asyncio.create_task(world.journeys.refresh())]
    await asyncio.sleep(0)
    world.put(a_journey(_id=JOURNEY, version=2))
    refreshing.append(asyncio.create_task(world.journeys.refresh()))
    await asyncio.sleep(0)
    slow.set()
    await asyncio.gather(*refreshing)
    assert [rules.version for rules in world.journeys.index.journeys.values()] == [2]


async def test_a_broken_journey_is_set_aside_loudly_once_and_the_others_run_on() -> None:
    world = World(a_journey(), a_journey(isActive=False), a_journey(_id=JOURNEY, **BROKEN))
    with capture_logs() as logs:
        await world.journeys.refresh()
        await world.journeys.refresh()
    [line] = [entry for entry in logs if entry["log_level"] == "error"]
    assert line["journey"] == str(JOURNEY)
    assert "waypoints[0].conditions.$where" in line["fault"]
    states = ("running", "idle", "broken")
    assert [world.count("journeys", state=state) for state in states] == [1, 1, 1]


async def test_a_journey_that_breaks_otherwise_is_told_again() -> None:
    world = World(a_journey(_id=JOURNEY, **BROKEN))
    with capture_logs() as logs:
        await world.journeys.refresh()
        world.put(a_journey(_id=JOURNEY, trackBy="team"))
        await world.journeys.refresh()
    assert len([entry for entry in logs if entry["log_level"] == "error"]) == 2


async def test_the_watch_refreshes_when_something_changed() -> None:
    world = World()
    await world.journeys.refresh()
    watch = a_watch(world)
    assert await watch.step() == 0
    world.put(a_journey())
    assert await watch.step() == 1
    assert len(world.journeys.index.journeys) == 2
    assert await watch.step() == 0


async def test_a_document_that_waits_is_woken_when_its_journey_runs() -> None:
    world = World(a_journey(_id=JOURNEY, isActive=False))
    document = await a_waiting_document(world)
    await world.journeys.refresh()
    watch = a_watch(world)
    await watch.step()
    assert "due" not in document["processing"]

    world.put(a_journey(_id=JOURNEY))
    await watch.step()  # refreshes
    await watch.step()  # wakes
    assert document["processing"]["due"] == world.clock.now()


async def test_p3_a_journey_that_was_deactivated_and_activated_between_two_looks_is_woken_for() -> None:
    """It has the same version; a document waits that another process folded while it was inactive."""
    journey = a_journey(_id=JOURNEY)
    world = World(journey)
    await world.journeys.refresh()
    watch = a_watch(world)
    await watch.step()
    document = await a_waiting_document(world)
    world.put({**journey, "updatedAt": at(9)})
    await watch.step()  # refreshes
    await watch.step()  # wakes
    assert "due" in document["processing"]


async def test_each_version_is_woken_for_once() -> None:
    world = World()
    await a_waiting_document(world)
    await world.journeys.refresh()
    watch = a_watch(world)
    for _step in range(3):
        await watch.step()
    assert world.effects.done.count("mark_due") == 1


async def test_what_one_folds_under_the_older_version_and_dies_is_woken_once_more() -> None:
    """Whoever did it never learnt of the change: only the others can wake what it left behind."""
    world = World()
    await world.journeys.refresh()
    watch = a_watch(world)
    await watch.step()

    document = await a_waiting_document(world)  # after the waking
    world.clock.advance(AGAIN.total_seconds() - 0.001)
    await watch.step()
    assert "due" not in document["processing"]
    world.clock.advance(0.001)
    await watch.step()
    assert document["processing"]["due"] == world.clock.now()
    await watch.step()
    assert world.effects.done.count("mark_due") == 1


async def test_a_process_without_a_promoter_wakes_nobody() -> None:
    world = World()
    document = await a_waiting_document(world)
    await world.journeys.refresh()
    await a_watch(world, has_promoter=False).step()
    assert "due" not in document["processing"]
