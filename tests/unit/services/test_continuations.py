"""Documents at rest go on in one write; the others, and those somebody else was at, take the usual way."""

from datetime import timedelta

import pytest

from processor.core.policy import FoldingPolicy
from processor.errors import StoreUnavailable
from processor.services.beginnings import Beginnings
from processor.services.continuations import Continuations
from processor.services.finished import Finished
from processor.services.handover import Handover
from processor.services.promoting import Promoting
from processor.services.surroundings import Leasing
from tests.builders import JOURNEY, WAYPOINTS, a_journey, a_statement_record, an_append, an_item
from tests.unit.services.promoting import a_promoter
from tests.unit.services.test_relay import a_relay, published
from tests.unit.services.world import World, pending

CONDITIONS = {"statement.verb.id": "http://example.org/did"}
LONG = timedelta(days=1)


def a_running_journey(count: int = 3, version: int = 1) -> dict[str, object]:
    waypoint = {"_id": WAYPOINTS[0], "isActive": True, "count": count, "order": 0, "conditions": CONDITIONS}
    return a_journey(_id=JOURNEY, isActive=True, isRepeatable=False, version=version, waypoints=[waypoint])


async def at_work(world: World, handover: Handover | None = None, finished: Finished | None = None) -> Continuations:
    """What goes on, in a world in which ana's document is at rest: her first item is promoted and published."""
    await world.journeys.refresh()
    handover = handover or Handover(Leasing())
    promoting = Promoting(world.store, world.journeys, FoldingPolicy(), world.around, Leasing(), handover, finished)
    await Beginnings(promoting).append([an_append(an_item(1))], [], world.clock.now())
    while await a_relay(world, handover).step():
        pass
    world.effects.done.clear()
    return Continuations(promoting)


def counted(world: World) -> int:
    [attempt] = world.documents[0]["completions"]
    return len(attempt["waypoints"][WAYPOINTS[0]]["statements"])


async def test_a_document_at_rest_is_one_look_and_one_write_and_its_event_is_handed_over() -> None:
    world = World(a_running_journey())
    handover = await world.handover()
    work = await at_work(world, handover)
    assert await work.append([an_append(an_item(2))], [], world.clock.now()) == 0
    assert world.effects.done == ["at_rest", "go_on"]
    assert counted(world) == 2
    assert world.count("promotions_total") == 2
    assert await a_relay(world, handover).step() == 1
    assert published(world) == [1, 2]
    assert "publish" not in world.documents[0]["processing"]
    assert world.waiting() == [0]
    assert await (await a_promoter(world)).step() == 0


async def test_what_is_not_there_or_waits_is_appended() -> None:
    world = World(a_running_journey())
    work = await at_work(world)
    await world.append(an_append(an_item(2)))
    appends = [an_append(an_item(3)), an_append(an_item(4), owner="ben")]
    assert await work.append(appends, [], world.clock.now()) == 2
    assert world.effects.done == ["at_rest", "append.progress", "append.progress"]
    assert [len(pending(it)) for it in world.documents] == [2, 1]


async def test_i1_p1_who_was_overtaken_appends() -> None:
    world = World(a_running_journey())
    work = await at_work(world)
    world.effects.at("go_on.before", lambda: world.documents[0].update(lockKey="somebody else's"))
    assert await work.append([an_append(an_item(2))], [], world.clock.now()) == 1
    assert world.effects.done == ["at_rest", "go_on", "append.progress"]
    assert len(pending(world.documents[0])) == 1
    assert world.count("promotions_total") == 1
    assert world.count("fenced_total") == 1
    assert await (await a_promoter(world)).step() == 1
    assert counted(world) == 2


async def test_i1_i2_a_write_of_which_nobody_knows_comes_again_and_counts_once() -> None:
    world = World(a_running_journey())
    handover = await world.handover()
    work = await at_work(world, handover)
    world.effects.fail("go_on.after", StoreUnavailable("away"))
    with pytest.raises(StoreUnavailable):
        await work.append([an_append(an_item(2))], [], world.clock.now())
    assert await work.append([an_append(an_item(2))], [], world.clock.now()) == 1
    await (await a_promoter(world)).step()
    assert counted(world) == 2
    world.clock.advance(61)
    assert await a_relay(world, handover).step() == 1  # of the first time, when its lease has run out (R1)
    assert published(world) == [1, 2]


async def test_bare_statements_are_kept_before_the_evidence_that_refers_to_them() -> None:
    world = World(a_running_journey())
    work = await at_work(world)
    await work.append([an_append(an_item(2))], [a_statement_record(2)], world.clock.now())
    assert world.effects.done == ["append.statement", "at_rest", "go_on"]
    world.effects.done.clear()
    await work.append([], [a_statement_record(3)], world.clock.now())
    assert world.effects.done == ["append.statement"]


async def test_i1_of_two_appends_of_one_document_the_second_takes_the_usual_way() -> None:
    world = World(a_running_journey())
    work = await at_work(world)
    assert await work.append([an_append(an_item(2)), an_append(an_item(3))], [], world.clock.now()) == 1
    assert counted(world) == 2
    assert len(pending(world.documents[0])) == 1


async def test_another_version_than_the_one_matched_under_takes_the_usual_way() -> None:
    world = World(a_running_journey())
    work = await at_work(world)
    assert await work.append([an_append(an_item(2), version=2)], [], world.clock.now()) == 1
    assert len(pending(world.documents[0])) == 1


async def test_a_document_that_was_edited_by_hand_is_left_to_its_promoter() -> None:
    world = World(a_running_journey())
    work = await at_work(world)
    world.documents[0]["completions"] = "none"
    assert await work.append([an_append(an_item(2))], [], world.clock.now()) == 1
    assert len(pending(world.documents[0])) == 1


async def test_r2_an_outbox_that_is_not_empty_yet_is_not_handed_over_and_published_in_order() -> None:
    world = World(a_running_journey())
    handover = await world.handover(room=5)
    work = await at_work(world, handover)
    for number, is_marked in ((2, False), (3, True)):
        assert await work.append([an_append(an_item(number))], [], world.clock.now()) == 0
        assert handover.is_marked is is_marked  # so that it is looked for soon
    relay = a_relay(world, handover)
    while await relay.step():
        pass
    assert published(world) == [1, 2, 3]
    assert not handover.is_marked


async def test_who_is_through_is_remembered() -> None:
    world, finished = World(a_running_journey(count=2)), Finished(trust=LONG)
    work = await at_work(world, finished=finished)
    finished.look([], world.clock.now())
    await work.append([an_append(an_item(2))], [], world.clock.now())
    [rules] = world.journeys.index.journeys.values()
    assert finished.passes_over(an_append(an_item(3)), rules, world.clock.now())


async def test_what_is_dropped_is_counted() -> None:
    world = World(a_running_journey(count=1))
    work = await at_work(world)
    await work.append([an_append(an_item(5))], [], world.clock.now())
    assert world.count("dropped_evidence_total", reason="after-completion") == 1
