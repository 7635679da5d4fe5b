"""Outboxes, marks and accounts that were edited by hand: they end no process, and hold up no other document."""

from typing import Any

import pytest
from bson import ObjectId
from bson.datetime_ms import DatetimeMS

from processor.store.connect import PROGRESSES, RELAYS, Database
from processor.store.progress import MongoProgressStore
from processor.store.reader import MongoProgressReader
from tests.builders import a_promotion, an_append, an_item, at
from tests.contract.stores import RELAY, Both
from tests.contract.test_store_accounts import applied, handed, revisions
from tests.contract.test_store_go_on import none

BEYOND = DatetimeMS(8_640_000_000_000_000)
BROKEN: list[dict[str, Any]] = [
    {"processing": None},
    {"processing": 5},
    {"processing.outbox": None},
    {"processing.outbox": 5},
    {"processing.outbox": ["x"]},
    {"processing.outbox": [{}]},
    {"processing.outbox": [{"revision": "1"}]},
]
ODD: list[Any] = [None, "x", 5, BEYOND, {"a": 1}, [[1]]]
MARKS: list[Any] = [
    *(None, 5, {}, {"relay": RELAY}, {"relay": RELAY, "number": "1", "revision": 1}),
    *({"relay": relay, "number": 1, "revision": 1} for relay in ODD),
]


@pytest.fixture
def both(mongo_database: Database) -> Both:
    one, other = MongoProgressStore(mongo_database), MongoProgressStore(mongo_database)
    return Both(one, other, MongoProgressReader(mongo_database), none)


async def published_and_not(both: Both) -> tuple[ObjectId, ObjectId]:
    """Ana's event was handed over and is published; Ben's is left."""
    await both.account(0, at_second=0)
    ana, ben = await handed(both, 1, "ana"), await handed(both, 2, "ben")
    await both.account(2, at_second=2, left=[2])
    return ana, ben


@pytest.mark.parametrize("edited", BROKEN, ids=str)
async def test_one_at_rest_does_not_keep_the_others_from_being_read(
    both: Both, mongo_database: Database, edited: dict[str, Any]
) -> None:
    ana, ben = await published_and_not(both)
    await mongo_database[PROGRESSES].update_one({"_id": ana}, {"$set": edited})
    assert ben in await both.other.at_rest([ana, ben])


async def test_one_of_anothers_that_has_no_processing_does_not_either(both: Both, mongo_database: Database) -> None:
    ana, ben = await published_and_not(both)
    await mongo_database[PROGRESSES].update_one({"_id": ana}, {"$unset": {"processing": ""}})
    assert ben in await both.other.at_rest([ana, ben])


@pytest.mark.parametrize("edited", BROKEN[2:], ids=str)
async def test_one_that_is_due_does_not_keep_the_others_from_being_claimed(
    both: Both, mongo_database: Database, edited: dict[str, Any]
) -> None:
    ana, ben = await published_and_not(both)
    await mongo_database[PROGRESSES].update_one({"_id": ana}, {"$set": edited})
    await both.append(an_append(an_item(2)), an_append(an_item(2), owner="ben"), at_second=3)
    claim = await both.other.claim("promoter", at(4), at(64), 10)
    assert ben in {document["_id"] for document in claim.documents}


@pytest.mark.parametrize("mark", MARKS, ids=str)
async def test_r1_a_mark_that_names_nobody_holds_up_no_other_and_the_next_event_finds_its_outbox(
    both: Both, mongo_database: Database, mark: Any
) -> None:
    ana, ben = await published_and_not(both)
    await mongo_database[PROGRESSES].update_one({"_id": ana}, {"$set": {"processing.handed": mark}})
    assert ben in await both.other.at_rest([ana, ben])
    await both.store.audit(at(3))
    assert await revisions(both.other, 3) == {ben: [1]}
    assert not (await applied(both, 2, 4, lease=3)).outboxes
    assert await revisions(both.other, 5) == {ana: [1, 2]}


@pytest.mark.parametrize(
    "edited",
    [{"until": "x"}, {"until": BEYOND}, {"last": "x"}, {"left": None}, {"left": 5}, {"open": ["a", 1]}],
    ids=str,
)
async def test_r1_an_account_that_was_edited_by_hand_holds_up_nothing_of_others(
    both: Both, mongo_database: Database, edited: dict[str, Any]
) -> None:
    ana, ben = await published_and_not(both)
    free = await both.promoted(3, owner="free")
    await mongo_database[RELAYS].update_one({}, {"$set": edited})
    assert free in await revisions(both.other, 100)
    assert set(await both.other.at_rest([ana, ben])) == {ana, ben}
    assert await both.other.locks(10)


@pytest.mark.parametrize("relay", [{"a": 1}, "x", 5], ids=str)
async def test_an_account_of_none_is_passed_over(both: Both, mongo_database: Database, relay: Any) -> None:
    _, ben = await published_and_not(both)
    await mongo_database[RELAYS].insert_one({"_id": relay, "until": at(1), "last": 0, "open": [], "left": [1]})
    await both.other.audit(at(3))
    assert await revisions(both.other, 3) == {ben: [1]}
    assert await both.other.locks(10)
    assert (await both.other.backlog(at(4))).outbox == 1


@pytest.mark.parametrize("until", ["x", BEYOND], ids=str)
async def test_locks_are_listed_whenever_an_account_ends(both: Both, mongo_database: Database, until: Any) -> None:
    await published_and_not(both)
    await both.promoted(3, owner="held")
    await both.other.claim_events("relay", at(10), at(70), 10)
    await mongo_database[RELAYS].update_one({}, {"$set": {"until": until}})
    assert "relay" in {lock.lock_key for lock in await both.other.locks(10)}
    await mongo_database[PROGRESSES].update_many({}, {"$set": {"processing.handed": [{"relay": RELAY, "number": 9}]}})
    await mongo_database[RELAYS].update_one({}, {"$set": {"until": at(60)}})
    assert "relay" in {lock.lock_key for lock in await both.other.locks(10)}


async def test_a_promotion_of_one_that_names_nobody_is_written(both: Both, mongo_database: Database) -> None:
    ana, _ = await published_and_not(both)
    await mongo_database[PROGRESSES].update_one({"_id": ana}, {"$set": {"processing.handed": 5}})
    await both.append(an_append(an_item(2)), at_second=3)
    claim = await both.other.claim("promoter", at(4), at(64), 10)
    done = await both.other.apply(claim, [a_promotion(it, an_item(2)) for it in claim.documents], at(5))
    assert done.landed == 1
