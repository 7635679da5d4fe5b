"""New documents land promoted; the others, and who comes second, take the usual way (I1, P1, R1)."""

import asyncio

import pytest

from processor.core.policy import FoldingPolicy
from processor.errors import StoreUnavailable
from processor.services.beginnings import Beginnings
from processor.services.handover import Handover
from processor.services.promoting import Promoting
from processor.services.surroundings import Leasing
from tests.builders import JOURNEY, WAYPOINTS, a_journey, an_append, an_item
from tests.unit.services.test_relay import a_relay, published
from tests.unit.services.world import World, pending

CONDITIONS = {"statement.verb.id": "http://example.org/did"}


def a_running_journey(version: int = 1) -> dict[str, object]:
    waypoint = {"_id": WAYPOINTS[0], "isActive": True, "count": 1, "order": 0, "conditions": CONDITIONS}
    return a_journey(_id=JOURNEY, isActive=True, version=version, waypoints=[waypoint])


async def beginnings(world: World, handover: Handover) -> Beginnings:
    await world.journeys.refresh()
    return Beginnings(Promoting(world.store, world.journeys, FoldingPolicy(), world.around, Leasing(), handover))


async def test_a_new_document_is_one_insert_and_its_event_is_handed_over() -> None:
    world = World(a_running_journey())
    handover = await world.handover()
    assert await (await beginnings(world, handover)).append([an_append()], [], world.clock.now()) == 0
    assert world.effects.done == ["missing", "begin"]
    assert world.documents[0]["isCompleted"]
    assert world.count("promotions_total") == 1
    assert await a_relay(world, handover).step() == 1
    assert published(world) == [1]
    assert "publish" not in world.documents[0]["processing"]
    assert world.waiting() == [0]


async def test_what_is_there_is_appended_to() -> None:
    world = World(a_running_journey())
    await world.append(an_append(an_item(1)))
    work = await beginnings(world, Handover(Leasing()))
    assert await work.append([an_append(an_item(2))], [], world.clock.now()) == 1
    assert len(pending(world.documents[0])) == 2


async def test_p1_i1_who_comes_second_appends() -> None:
    world = World(a_running_journey())
    work = await beginnings(world, Handover(Leasing()))
    rival = an_append(an_item(1))
    world.effects.at("begin.before", lambda: world.other._append(rival, world.clock.now()))
    assert await work.append([an_append(an_item(2))], [], world.clock.now()) == 1
    assert len(pending(world.documents[0])) == 2


async def test_another_version_than_the_one_matched_under_takes_the_usual_way() -> None:
    world = World(a_running_journey(version=2))
    work = await beginnings(world, Handover(Leasing()))
    assert await work.append([an_append(version=1)], [], world.clock.now()) == 1
    assert pending(world.documents[0])


async def test_p3_a_journey_that_changed_meanwhile_wakes_what_was_inserted() -> None:
    world = World(a_running_journey())
    work = await beginnings(world, Handover(Leasing()))
    other = World(a_running_journey(version=2))
    await other.journeys.refresh()
    world.effects.at("begin.before", lambda: setattr(world.journeys, "index", other.journeys.index))
    await work.append([an_append()], [], world.clock.now())
    assert "due" in world.documents[0]["processing"]


async def appended(work: Beginnings, world: World, *learners: str) -> list[str]:
    """Add evidence of some learners; return what that did to the store, by kind."""
    before = len(world.effects.done)
    await work.append([an_append(owner=learner) for learner in learners], [], world.clock.now())
    return list(dict.fromkeys(world.effects.done[before:]))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three new documents in a row are enough to guess."""
    monkeypatch.setattr("processor.services.beginnings.UNASKED", 3)


@pytest.mark.usefixtures("few")
async def test_after_enough_that_were_new_nobody_asks_whether_the_next_are_there() -> None:
    world = World(a_running_journey())
    work = await beginnings(world, Handover(Leasing()))
    assert await appended(work, world, "ana", "ben") == ["missing", "begin"]
    assert await appended(work, world, "cem", "dan") == ["missing", "begin"]
    assert await appended(work, world, "eve", "fay") == ["begin"]
    assert len(world.documents) == 6


@pytest.mark.usefixtures("few")
async def test_i1_who_was_there_unasked_is_appended_to_and_the_next_are_asked_for() -> None:
    world = World(a_running_journey())
    work = await beginnings(world, Handover(Leasing()))
    await appended(work, world, "ana", "ben", "cem")
    assert await appended(work, world, "ana", "dan") == ["begin", "append.progress"]
    assert pending_of(world, "ana") == 1
    assert await appended(work, world, "ben", "eve") == ["missing", "append.progress", "begin"]
    assert await appended(work, world, "fay", "gil") == ["missing", "begin"]  # one that was there: counted anew
    assert await appended(work, world, "hal") == ["missing", "begin"]
    assert await appended(work, world, "ian") == ["begin"]


@pytest.mark.usefixtures("few")
async def test_i1_i2_a_guess_that_fails_comes_again_and_nothing_is_lost() -> None:
    world = World(a_running_journey())
    work = await beginnings(world, Handover(Leasing()))
    await appended(work, world, "ana", "ben", "cem")
    world.effects.fail("begin.after", StoreUnavailable("away"))
    with pytest.raises(StoreUnavailable):
        await appended(work, world, "dan", "ana")
    assert await appended(work, world, "dan", "ana") == ["begin", "append.progress"]
    assert len(world.documents) == 4
    assert pending_of(world, "ana") == 1


@pytest.mark.usefixtures("few")
async def test_i1_pieces_at_once_may_guess_and_ask() -> None:
    """One asks while the other's guess fails: each piece of evidence is counted or pending."""
    world = World(a_running_journey())
    work = await beginnings(world, Handover(Leasing()))
    await appended(work, world, "ana", "ben", "cem")
    await asyncio.gather(appended(work, world, "ana", "dan"), appended(work, world, "ben", "eve"))
    assert len(world.documents) == 5
    assert [pending_of(world, it) for it in ("ana", "ben", "dan", "eve")] == [1, 1, 0, 0]


def pending_of(world: World, learner: str) -> int:
    return len(pending(world.document(an_append(owner=learner).progress)))
