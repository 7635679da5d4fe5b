"""Recalculation beside a live stream, with crashes after any durable effect: at the end all is as in a fresh run."""

import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from structlog.testing import capture_logs

from processor.core.identity import progress_id, statement_reference
from processor.core.recalculation import Stage
from processor.services.journeys import Journeys
from processor.services.recalculation import Recalculator
from processor.testing.broker import MemoryBroker
from processor.testing.database import MemoryDatabase
from processor.testing.journeys import MemoryJourneyCatalog
from processor.testing.recalculations import MemoryHistory
from schemas.rendering import rendered
from tests.builders import JOURNEY, ORGANISATION, WAYPOINTS, a_statement, an_owner, at
from tests.simulation.recalculating import (
    LEASE,
    PATIENCE,
    POLICY,
    Crash,
    World,
    a_stored,
    a_waypoint,
    some_statements,
    the_journey,
)

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


async def test_f1_what_is_found_again_is_never_too_late_however_live_evidence_comes_between() -> None:
    """The history of bare statements has no order of time: a horizon would seal what the next chunk still changes."""
    world = World(policy=replace(POLICY, lateness_horizon=timedelta(seconds=3)))
    history = [a_stored(number, "c", timestamp=at(1_000 - 20 * number)) for number in range(1, 20)]
    live = [a_stored(number, "c", timestamp=at(number)) for number in range(2_000, 2_024)]
    await world.save(BEFORE)
    await world.live(*history)
    await world.save(AFTER)
    world.start()
    worker = world.recalculator(chunk=3)
    for number, statement in enumerate(live):
        if number % 2:  # what a chunk has asked for is folded with the first, and not there with the second
            await worker.step()
        await world.live(statement)
        await world.promote()
    await world.recalculated()
    await world.quiet()
    assert world.documents() == (await fresh(history + live)).documents()


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


async def test_a_journey_saved_meanwhile_begins_again_under_its_new_version_when_all_know_it() -> None:
    world = World(known_after=LEASE)
    statements = some_statements(random.Random(5), 30)
    await world.save(BEFORE)
    await world.live(*statements)
    await world.quiet()
    world.start()
    worker = world.recalculator()
    while not world.is_at(Stage.APPEND):
        await worker.step()
    await world.save(AFTER)
    await worker.step()
    assert (world.work.recalculation.stage, world.work.recalculation.version) == (Stage.RETRACT, None)
    assert world.work.recalculation.begin_at == world.clock.now() + LEASE
    world.clock.pass_(LEASE)
    await world.recalculated()
    await world.quiet()
    assert world.work.recalculation.version == 2
    assert world.documents() == (await fresh(statements)).documents()


@pytest.mark.parametrize("stage", [Stage.RETRACT, Stage.APPEND])
@pytest.mark.parametrize("paused", [{"isActive": False}, {"waypoints": "none"}], ids=["inactive", "broken"])
async def test_while_its_journey_does_not_run_it_waits(stage: Stage, paused: dict[str, object]) -> None:
    """That nothing matches an inactive journey must not take its evidence back; nor may it end half done."""
    world, statements = World(), some_statements(random.Random(5), 30)
    await world.save(BEFORE)
    await world.live(*statements)
    await world.quiet()
    await world.save(AFTER)
    world.start()
    worker = world.recalculator()
    while not world.is_at(stage):
        await worker.step()
    before, asked = world.documents(), world.asked()
    await world.save({**AFTER, **paused})
    await world.promoter_known.refresh()
    for _ in range(20):
        await worker.step()
        await world.promote()
    assert (world.documents(), world.asked()) == (before, asked)
    assert not world.is_at(None)

    await world.save(AFTER)
    await world.promoter_known.refresh()
    await world.recalculated()
    await world.quiet()
    assert world.documents() == (await fresh(statements)).documents()


async def test_of_a_journey_that_is_gone_it_ends() -> None:
    world = World()
    await world.save(AFTER)
    world.start()
    world.database.journeys.clear()
    await world.recalculated()


async def test_a_worker_that_has_not_heard_of_the_journey_yet_does_not_take_it_for_gone() -> None:
    world, statements = World(), some_statements(random.Random(5), 30)
    await world.save(BEFORE)
    await world.live(*statements)
    await world.quiet()
    await world.save(AFTER)
    world.start()
    await world.recalculator().step()
    world.known = Journeys(MemoryJourneyCatalog(MemoryDatabase()), world._around())
    await world.recalculator().step()
    await world.save(AFTER)
    world.known = world.promoter_known
    await world.recalculated()
    await world.quiet()
    assert world.documents() == (await fresh(statements)).documents()


@pytest.mark.parametrize("saved", [AFTER, {**AFTER, "waypoints": "none"}], ids=["another version", "broken"])
async def test_a_journey_saved_just_before_the_end_is_recalculated_again_too(saved: dict[str, object]) -> None:
    """A worker that has not heard of it yet looks once more before it ends."""
    world, statements = World(known_after=LEASE), some_statements(random.Random(5), 30)
    await world.save(BEFORE)
    await world.live(*statements)
    await world.quiet()
    world.start()
    worker = world.recalculator(chunk=100)
    while not world.is_at(Stage.APPEND):
        await worker.step()
    await MemoryJourneyCatalog(world.database).save([saved])
    await worker.step()
    assert (world.work.recalculation.stage, world.work.recalculation.version) == (Stage.RETRACT, None)


async def test_cancelled_what_was_found_is_folded_all_the_same() -> None:
    world = World()
    await world.save(BEFORE)
    await world.live(*some_statements(random.Random(5), 30))
    await world.quiet()
    await world.save(AFTER)
    world.start()
    worker = world.recalculator()
    while not world.is_at(Stage.WAKE):
        await worker.step()
    world.work.recalculation = replace(world.work.recalculation, is_cancelled=True)
    await world.recalculated()
    assert not any(world.asked().values())


async def test_without_promoters_it_ends_when_its_patience_does() -> None:
    world = World()
    await world.save(AFTER)
    await world.live(*some_statements(random.Random(5), 30))
    world.start()
    worker = world.recalculator(batch=4)
    while not world.is_at(Stage.WAKE):
        await worker.step()
    with capture_logs() as logs:
        await worker.step()
        world.clock.pass_(PATIENCE)
        await worker.step()
        assert world.is_at(Stage.WAKE)
        world.clock.pass_(PATIENCE)
        await worker.step()
    assert world.is_at(None)
    assert [it["waiting"] for it in logs if it["log_level"] == "warning"] == [3]


async def nine_learners() -> tuple[World, Recalculator]:
    """A world in which a recalculation begins that touches the documents of nine, and has four of them due at once."""
    world = World()
    await world.save(AFTER)
    await world.live(*(a_stored(number, "c", f"learner-{number}") for number in range(1, 10)))
    await world.quiet()
    world.start()
    return world, world.recalculator(chunk=9, batch=4)


async def test_p3_it_never_ends_before_all_that_it_touched_is_due() -> None:
    """Promoters are away for hours: what is not due yet would never be folded."""
    world, worker = await nine_learners()
    due = []
    while not world.is_at(None):
        await worker.step()
        due.append(sum("due" in it["processing"] for it in world.database.progresses.values()))
        if world.is_at(Stage.WAKE):
            world.clock.pass_(timedelta(hours=8))
    assert set(due) == {0, 4, 8, 9}
    await world.quiet()
    assert not any(world.asked().values())


async def test_documents_are_woken_a_batch_at_a_time() -> None:
    world, worker = await nine_learners()
    while not world.is_at(Stage.WAKE):
        await worker.step()
    woken = []
    while not world.is_at(None):
        await worker.step()
        woken.append(sum("due" in it["processing"] for it in world.database.progresses.values()))
        await world.promote()
    assert woken == [4, 4, 1, 0]


async def test_who_wakes_rests_while_nothing_is_folded_however_low_the_rate() -> None:
    """The last chunk has put off what comes next for long; that is not to be looked for all the time."""
    world, worker = await nine_learners()
    while not world.is_at(Stage.WAKE):
        await worker.step()
    await worker.step()
    begin_at = world.clock.now() + timedelta(hours=1)
    world.work.recalculation = replace(world.work.recalculation, begin_at=begin_at)
    assert [await worker.step() for _ in range(3)] == [0, 0, 0]


async def test_p3_each_chunk_asks_under_a_key_of_its_own() -> None:
    """Else what a chunk asks during a promotion would be consumed with what the promoter has read."""
    world = World()
    await world.save(AFTER)
    await world.live(*(a_stored(number, "c") for number in range(1, 7)))
    await world.quiet()
    world.start()
    worker = world.recalculator(chunk=2)
    while not world.is_at(Stage.WAKE):
        await worker.step()
    [entries] = world.asked().values()
    assert len({entry["key"] for entry in entries}) == 3


async def test_nothing_is_read_before_every_ingester_knows_the_journey() -> None:
    world = World()
    await world.save(AFTER)
    world.start()
    world.work.recalculation = replace(world.work.recalculation, begin_at=world.clock.now() + LEASE)
    worker = world.recalculator()
    await worker.step()  # only its lease is renewed
    assert world.work.recalculation.version is None
    assert await worker.step() == 0
    world.clock.pass_(LEASE)
    await worker.step()
    assert world.work.recalculation.version == 2


async def test_the_rate_is_kept_whoever_works_and_the_lease_stays_alive() -> None:
    world = World(rate=0.1)  # one chunk of two in two leases
    await world.save(AFTER)
    await world.live(*some_statements(random.Random(5), 10))
    await world.quiet()
    world.start()
    seconds = 0
    while not world.is_at(Stage.WAKE):
        await world.recalculator().step()
        assert world.work.lease is not None
        assert world.work.lease >= world.clock.now() + LEASE / 2
        world.clock.pass_(timedelta(seconds=1))
        seconds += 1
    looked = world.metrics.reread._value.get()
    assert looked >= 10
    assert seconds == pytest.approx((looked - 2) / 0.1, abs=15)  # after the last chunk nobody has to wait


async def test_the_rate_counts_the_statements_that_documents_hold() -> None:
    world = World(rate=0.5)
    await world.save(AFTER)
    await world.live(*(a_stored(number, "c") for number in range(1, 4)))
    await world.quiet()
    world.start()
    worker = world.recalculator()
    await worker.step()  # it begins
    await worker.step()  # one document, and the three statements in it
    assert world.work.recalculation.begin_at == world.clock.now() + timedelta(seconds=6)


async def test_one_owner_alone() -> None:
    world = World()
    statements = some_statements(random.Random(7), 30)
    await world.save(BEFORE)
    await world.live(*statements)
    await world.quiet()
    before = world.documents()
    await world.save(AFTER)
    ana = progress_id(ORGANISATION, JOURNEY, an_owner("ana"))
    world.start(only=ana)
    await world.recalculated()
    after = world.documents()
    assert after[ana] == (await fresh(statements)).documents()[ana]
    assert {**after, ana: None} == {**before, ana: None}


async def test_the_topic_may_hold_several_versions_of_a_statement() -> None:
    """The first does not match, a later one does: evidence is neither lost nor published anew."""
    world = World()
    await world.save(AFTER)
    known, enriched = a_stored(1, "x"), a_stored(1, "c")
    await world.live(enriched, a_stored(2, "b"))
    await world.quiet()
    events = world.events()
    broker = MemoryBroker(partitions=1)
    for document in (known, a_stored(2, "b"), a_stored(3, "x"), enriched):
        broker.append("topic", orjson.dumps(rendered(document)))
    world.start()
    worker = world.recalculator(history=MemoryHistory(world.database, broker, "topic", chunk=1))
    while not world.is_at(None):
        await worker.step()
        if world.is_at(Stage.WAKE):
            await world.promote()
    assert world.events() == events
    assert world.documents() == (await fresh([enriched, a_stored(2, "b")])).documents()


async def test_a_bare_statement_that_it_finds_in_the_topic_is_kept_with_the_evidence_that_refers_to_it() -> None:
    """When the stream passed it, no journey waited for it, so it was not kept."""
    world = World()
    await world.save(AFTER)
    broker = MemoryBroker(partitions=1)
    statement = a_statement(1, verb={"id": "http://example.org/c"})
    broker.append("topic", orjson.dumps(statement), headers=[("organisation", str(ORGANISATION).encode())])
    world.start()
    worker = world.recalculator(history=MemoryHistory(world.database, broker, "topic"))
    while not world.is_at(Stage.WAKE):
        await worker.step()
    reference = statement_reference(statement["id"])
    [document] = world.database.progresses.values()
    assert [it["statement"] for it in document["pendingProgress"][WAYPOINTS[0]]["statements"]] == [reference]
    assert world.database.statements[reference]["statement"] == statement
