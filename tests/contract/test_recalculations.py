"""Asking for recalculations, and doing them: `ports.Recalculations` and `ports.RecalculationWork`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId

from processor.core.recalculation import Recalculation, Stage
from processor.errors import InvalidRecalculation, NotFound
from processor.ports.recalculation import RecalculationWork
from processor.store.connect import JOURNEYS, Database
from processor.store.recalculations import MongoRecalculations, RecalculationPolicy
from processor.testing.recalculations import MemoryRecalculationWork
from tests.builders import ORGANISATION, a_journey
from tests.simulation.recalculating import HeldClock

LEASE = timedelta(seconds=60)
KNOWN_AFTER = timedelta(seconds=20)
CLIENT = ObjectId("5ff5c1b5d8ea540933227033")
OTHER = ObjectId("5ff5c1b5d8ea540933227034")
FIELDS = {
    "inProgress",
    "totalCount",
    "remainingCount",
    "pushing",
    "recalculatedAt",
    "cancelledAt",
    "recalculatedByClient",
    "recalculatedByUser",
    "cancelledByClient",
    "cancelledByUser",
}


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def asked(mongo_database: Database, clock: HeldClock) -> MongoRecalculations:
    return MongoRecalculations(mongo_database, clock, RecalculationPolicy(LEASE, KNOWN_AFTER))


@pytest.fixture
async def journey(mongo_database: Database) -> ObjectId:
    return await saved(mongo_database)


async def saved(database: Database, **changes: Any) -> ObjectId:
    document = a_journey(**changes)
    await database[JOURNEYS].insert_one(document)
    return ObjectId(str(document["_id"]))


async def status(asked: MongoRecalculations, journey: ObjectId) -> Mapping[str, Any]:
    [shown] = await asked.shown([{"_id": journey, "recalculateStatus": {}}])
    found: Mapping[str, Any] = shown["recalculateStatus"]
    return found


async def test_a_start_answers_as_learning_locker_does(
    asked: MongoRecalculations, journey: ObjectId, clock: HeldClock
) -> None:
    shown = await asked.start(journey, ORGANISATION, CLIENT)
    assert shown["_id"] == journey
    assert shown["waypoints"]
    assert set(shown["recalculateStatus"]) == FIELDS
    expected: dict[str, Any] = {"inProgress": True, "pushing": True, "totalCount": 0, "remainingCount": 0}
    expected |= {"recalculatedAt": clock.now(), "recalculatedByClient": CLIENT, "recalculatedByUser": None}
    expected |= {"cancelledAt": None, "cancelledByClient": None, "cancelledByUser": None}
    assert shown["recalculateStatus"] == expected


async def test_a_start_while_it_runs_is_refused_in_learning_lockers_words(
    asked: MongoRecalculations, journey: ObjectId
) -> None:
    await asked.start(journey, ORGANISATION, CLIENT)
    with pytest.raises(InvalidRecalculation, match=rf"^Journey \({journey}\) not available for recalculation$"):
        await asked.start(journey, ORGANISATION, CLIENT)


async def test_of_many_starts_at_once_one_wins(asked: MongoRecalculations, journey: ObjectId) -> None:
    starts = [asked.start(journey, ORGANISATION, CLIENT) for _ in range(8)]
    outcomes = await asyncio.gather(*starts, return_exceptions=True)
    refused = [it for it in outcomes if isinstance(it, InvalidRecalculation)]
    assert len(refused) == 7


@pytest.mark.parametrize(
    "changes",
    [{"isActive": False}, {"waypoints": []}, {"waypoints": [{"_id": ObjectId(), "conditions": {"$where": "1"}}]}],
    ids=["inactive", "without a waypoint", "broken"],
)
async def test_a_journey_that_does_not_run_is_refused(
    asked: MongoRecalculations, mongo_database: Database, changes: dict[str, Any]
) -> None:
    journey = await saved(mongo_database, **changes)
    with pytest.raises(InvalidRecalculation):
        await asked.start(journey, ORGANISATION, CLIENT)


async def test_an_unknown_journey_and_that_of_another_organisation_are_the_same(
    asked: MongoRecalculations, journey: ObjectId, mongo_database: Database
) -> None:
    for unknown, organisation in ((ObjectId(), ORGANISATION), (journey, OTHER)):
        for ask in (asked.start, asked.cancel):
            with pytest.raises(NotFound, match=str(unknown)):
                await ask(unknown, organisation, CLIENT)
    assert await mongo_database["journeyrecalculations"].count_documents({}) == 0


async def test_a_cancel_keeps_what_was_counted_and_is_over_at_once(
    asked: MongoRecalculations, journey: ObjectId, clock: HeldClock
) -> None:
    await asked.start(journey, ORGANISATION, CLIENT)
    clock.pass_(KNOWN_AFTER)
    claimed = await claimed_by(asked, "worker", clock)
    assert await asked.save(claimed, claimed.begun(1, 3), "worker", clock.now() + LEASE)
    assert (await status(asked, journey))["remainingCount"] == 3
    clock.pass_(timedelta(seconds=5))
    shown = (await asked.cancel(journey, ORGANISATION, OTHER))["recalculateStatus"]
    assert not shown["inProgress"]
    assert not shown["pushing"]
    assert (shown["totalCount"], shown["remainingCount"]) == (3, 0)
    assert (shown["cancelledAt"], shown["cancelledByClient"]) == (clock.now(), OTHER)
    assert shown["recalculatedAt"] == clock.now() - timedelta(seconds=5) - KNOWN_AFTER

    again = (await asked.start(journey, ORGANISATION, CLIENT))["recalculateStatus"]
    assert again["inProgress"]
    assert (again["totalCount"], again["cancelledByClient"]) == (0, OTHER)  # the previous cancel is kept


async def test_cancelling_an_idle_journey_notes_who_asked(
    asked: MongoRecalculations, journey: ObjectId, clock: HeldClock
) -> None:
    for _ in range(2):
        shown = (await asked.cancel(journey, ORGANISATION, CLIENT))["recalculateStatus"]
        assert set(shown) == FIELDS
        assert (shown["inProgress"], shown["cancelledAt"]) == (False, clock.now())
    assert await asked.claim("key", clock.now(), clock.now() + LEASE) is None


async def test_without_a_sign_of_life_it_is_not_in_progress(
    asked: MongoRecalculations, journey: ObjectId, clock: HeldClock
) -> None:
    await asked.start(journey, ORGANISATION, CLIENT)
    clock.pass_(KNOWN_AFTER)
    await claimed_by(asked, "worker", clock)
    clock.pass_(LEASE)
    assert not (await status(asked, journey))["inProgress"]
    assert not (await status(asked, journey))["pushing"]
    assert await asked.is_waiting(journey)
    assert (await asked.start(journey, ORGANISATION, CLIENT))["recalculateStatus"]["inProgress"]


async def test_a_journey_of_an_imported_database_is_not_in_progress_for_ever(asked: MongoRecalculations) -> None:
    stored = {"inProgress": True, "totalCount": 7, "remainingCount": 2, "pushing": True}
    [never, once] = await asked.shown([{"_id": ObjectId()}, {"_id": ObjectId(), "recalculateStatus": stored}])
    assert "recalculateStatus" not in never
    assert not once["recalculateStatus"]["inProgress"]
    assert not once["recalculateStatus"]["pushing"]


async def test_reading_begins_when_every_ingester_knows_of_it(
    asked: MongoRecalculations, mongo_database: Database, clock: HeldClock
) -> None:
    """The journey as it was saved last, and that nothing of it is passed over."""
    journey = await saved(mongo_database, updatedAt=clock.now() - timedelta(hours=1))
    assert await asked.running() == frozenset()
    await asked.start(journey, ORGANISATION, CLIENT)
    assert await asked.running() == {journey}
    assert await asked.claim("early", clock.now(), clock.now() + LEASE) is None
    clock.pass_(KNOWN_AFTER)
    claimed = await claimed_by(asked, "key", clock)
    assert claimed.begin_at == clock.now()
    assert await asked.save(claimed, claimed.ended(), "key", clock.now())
    assert await asked.running() == frozenset()


@pytest.fixture(params=["memory", pytest.param("mongo", marks=pytest.mark.servers)])
def begun(request: pytest.FixtureRequest, clock: HeldClock) -> Callable[[], Awaitable[RecalculationWork]]:
    """Makes the work of one recalculation that may just begin."""

    async def in_memory() -> RecalculationWork:
        return MemoryRecalculationWork(Recalculation(ObjectId(), "run", Stage.RETRACT, clock.now()))

    if request.param == "memory":
        return in_memory
    asked: MongoRecalculations = request.getfixturevalue("asked")
    database: Database = request.getfixturevalue("mongo_database")

    async def in_mongo() -> RecalculationWork:
        await asked.start(await saved(database), ORGANISATION, CLIENT)
        clock.pass_(KNOWN_AFTER)
        return asked

    return in_mongo


Begun = Callable[[], Awaitable[RecalculationWork]]


async def claimed_by(work: RecalculationWork, key: str, clock: HeldClock) -> Recalculation:
    claimed = await work.claim(key, clock.now(), clock.now() + LEASE)
    assert claimed is not None
    return claimed


async def test_p1_one_worker_at_a_time_and_the_next_after_its_lease(begun: Begun, clock: HeldClock) -> None:
    work = await begun()
    first = await claimed_by(work, "first", clock)
    assert await work.claim("second", clock.now(), clock.now() + LEASE) is None
    clock.pass_(LEASE + timedelta(seconds=1))
    assert await claimed_by(work, "second", clock) == first
    assert not await work.save(first, first.begun(1, 9), "first", clock.now() + LEASE)  # fenced
    assert await work.claim("third", clock.now(), clock.now() + LEASE) is None


async def test_what_is_saved_is_where_the_next_goes_on(begun: Begun, clock: HeldClock) -> None:
    work = await begun()
    claimed = await claimed_by(work, "first", clock)
    after = claimed.begun(4, 20).advanced(5, {"a": [ObjectId(), 3]})
    assert await work.save(claimed, after, "first", clock.now() + LEASE)
    assert await claimed_by(work, "second", clock) == after  # at once: the lock was given back


@pytest.mark.parametrize("is_over", [True, False], ids=["it has ended", "another wakes just now"])
async def test_p3_what_a_late_worker_has_written_is_woken(begun: Begun, clock: HeldClock, is_over: bool) -> None:
    work = await begun()
    late = await claimed_by(work, "late", clock)
    clock.pass_(LEASE + timedelta(seconds=1))
    claimed = await claimed_by(work, "second", clock)
    assert await work.save(claimed, claimed.pushed(), "second", clock.now() + LEASE)
    waking = await claimed_by(work, "third", clock)
    if is_over:
        assert await work.save(waking, waking.ended(), "third", clock.now() + LEASE)
    assert not await work.save(late, late.begun(1, 9), "late", clock.now() + LEASE)
    assert (await claimed_by(work, "fourth", clock)).stage is Stage.WAKE
    if not is_over:
        assert not await work.save(waking, waking.ended(), "third", clock.now() + LEASE)
    assert await work.claim("fifth", clock.now(), clock.now() + LEASE) is None  # who only wakes takes no lock away


async def test_one_that_waits_holds_up_none_that_can_go_on(
    asked: MongoRecalculations, mongo_database: Database, clock: HeldClock
) -> None:
    """It is claimed when half of its lease is over, and that is renewed."""
    journeys = [await saved(mongo_database) for _ in range(3)]
    for journey in journeys:
        await asked.start(journey, ORGANISATION, CLIENT)
    clock.pass_(KNOWN_AFTER)
    for number in range(3):
        claimed = await claimed_by(asked, f"first-{number}", clock)
        is_waiting = claimed.journey != journeys[1]
        after = claimed.put_off(clock.now() + 10 * LEASE) if is_waiting else claimed.begun(1, 9)
        assert await asked.save(claimed, after, f"first-{number}", clock.now() + LEASE)
    for number in range(4):
        going_on = await claimed_by(asked, f"then-{number}", clock)
        assert going_on.journey == journeys[1]
        assert await asked.save(going_on, going_on, f"then-{number}", clock.now() + LEASE)
    clock.pass_(LEASE / 2 + timedelta(seconds=1))
    renewed = [await claimed_by(asked, f"renewed-{number}", clock) for number in range(3)]
    assert {it.journey for it in renewed} == set(journeys)


async def test_one_that_has_ended_is_claimed_by_nobody(begun: Begun, clock: HeldClock) -> None:
    work = await begun()
    claimed = await claimed_by(work, "first", clock)
    assert await work.save(claimed, claimed.ended(), "first", clock.now() + LEASE)
    clock.pass_(LEASE * 2)
    assert await work.claim("second", clock.now(), clock.now() + LEASE) is None


async def test_a_worker_does_not_write_over_a_cancel_and_wakes_what_it_touched(
    asked: MongoRecalculations, journey: ObjectId, clock: HeldClock
) -> None:
    await asked.start(journey, ORGANISATION, CLIENT)
    clock.pass_(KNOWN_AFTER)
    claimed = await claimed_by(asked, "first", clock)
    await asked.cancel(journey, ORGANISATION, CLIENT)
    assert await asked.claim("second", clock.now(), clock.now() + LEASE) is None  # its chunk is still being written
    assert not await asked.save(claimed, claimed.begun(1, 9), "first", clock.now() + LEASE)
    ending = await claimed_by(asked, "second", clock)
    assert ending == replace(claimed, stage=Stage.WAKE, is_cancelled=True)


async def test_the_one_that_has_waited_longest_comes_first(
    asked: MongoRecalculations, mongo_database: Database, clock: HeldClock
) -> None:
    for _ in range(2):
        await asked.start(await saved(mongo_database), ORGANISATION, CLIENT)
        clock.pass_(timedelta(seconds=1))
    clock.pass_(KNOWN_AFTER)
    seen = []
    for number in range(4):
        claimed = await claimed_by(asked, f"key-{number}", clock)
        seen.append(claimed.journey)
        clock.pass_(timedelta(seconds=1))
        await asked.save(claimed, claimed, f"key-{number}", clock.now() + LEASE)
    assert seen[:2] == seen[2:]
    assert seen[0] != seen[1]
