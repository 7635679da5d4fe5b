"""One contract for `ports.ProgressStore`: who holds what, and that any worker takes over what a dead one held."""

from collections.abc import Sequence

import pytest

from processor.ports.progress import Lock, ProgressStore
from processor.store.connect import PROGRESSES, Database
from processor.store.progress import MongoProgressStore
from processor.testing.database import MemoryDatabase
from processor.testing.store import MemoryProgressStore
from tests.builders import a_promotion, an_append, an_item, at


@pytest.fixture(params=["memory", pytest.param("mongo", marks=pytest.mark.servers)])
def workers(request: pytest.FixtureRequest) -> Sequence[ProgressStore]:
    """Three workers on one database."""
    names = ("one", "two", "three")
    if request.param == "memory":
        memory = MemoryDatabase()
        return [MemoryProgressStore(memory, worker=name) for name in names]
    database = request.getfixturevalue("mongo_database")
    return [MongoProgressStore(database, name) for name in names]


async def test_p1_any_worker_takes_over_what_dead_ones_held(workers: Sequence[ProgressStore]) -> None:
    one, two, three = workers
    await one.append([an_append(an_item(1), owner=f"o{number}") for number in range(9)], [], at(0))
    late = await one.claim("one", at(1), at(61), 4)
    await two.claim("two", at(2), at(62), 4)
    assert len((await three.claim("three", at(3), at(99), 10)).documents) == 1
    assert not (await three.claim("early", at(60), at(99), 10)).documents
    taken = await three.claim("heir", at(63), at(123), 10)
    assert len(taken.documents) == 8
    applied = await three.apply(taken, [a_promotion(it, an_item(1)) for it in taken.documents], at(64))
    assert applied.landed == 8
    assert (await one.apply(late, [a_promotion(it, an_item(1)) for it in late.documents], at(65))).fenced == 4
    assert len(await three.locks(10)) == 1


async def test_r1_any_relay_takes_over_what_a_dead_one_held(workers: Sequence[ProgressStore]) -> None:
    one, two, _ = workers
    await one.append([an_append(an_item(1))], [], at(0))
    claim = await one.claim("one", at(1), at(61), 1)
    await one.apply(claim, [a_promotion(claim.documents[0], an_item(1))], at(2))
    await one.claim_events("relay-one", at(3), at(63), 10)
    assert not (await two.claim_events("early", at(62), at(122), 10)).outboxes
    taken = await two.claim_events("late", at(64), at(124), 10)
    assert [[event.revision for event in events] for events in taken.outboxes.values()] == [[1]]
    [lock] = await one.locks(10)
    assert (lock.loop, lock.lock_key, lock.worker, lock.since, lock.until) == ("relay", "late", "two", at(64), at(124))
    await two.forget([(taken, {claim.documents[0]["_id"]: 1})])
    assert not await one.locks(10)


async def test_locks_come_in_the_order_they_run_out_with_who_holds_them(workers: Sequence[ProgressStore]) -> None:
    one, two, three = workers
    await one.append([an_append(owner=name) for name in "abc"], [], at(0))
    first = (await one.claim("k1", at(1), at(61), 1)).documents[0]["_id"]
    second = (await two.claim("k2", at(2), at(31), 1)).documents[0]["_id"]
    locks = await three.locks(10)
    assert list(locks) == [
        Lock(second, "promote", "k2", at(31), "two", at(2)),
        Lock(first, "promote", "k1", at(61), "one", at(1)),
    ]
    assert [lock.progress for lock in await three.locks(1)] == [second]
    assert (await three.backlog(at(40))).oldest_lease == at(31)


async def test_a_claim_that_does_not_say_whose_it_is_is_listed_all_the_same(mongo_database: Database) -> None:
    """As a document has it whose claim is from before an upgrade."""
    store = MongoProgressStore(mongo_database)
    await store.append([an_append()], [], at(0))
    await store.claim("key", at(1), at(61), 1)
    await mongo_database[PROGRESSES].update_one({}, {"$unset": {"processing.holder": "", "lockKey": ""}})
    [lock] = await store.locks(10)
    assert (lock.lock_key, lock.worker, lock.since, lock.until) == ("", None, None, at(61))
