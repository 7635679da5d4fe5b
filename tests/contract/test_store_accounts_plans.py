"""What relays have left is found without reading what they have published, however much that is."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from bson import ObjectId

from processor.core.relaying import Account
from processor.store.connect import PROGRESSES, RELAYS, Database
from processor.store.progress import MongoProgressStore
from processor.store.relays import AGAIN, BETWEEN, KEPT, PAGE
from tests.builders import at
from tests.contract.stores import RELAY
from tests.contract.test_store_plans import profiled

PUBLISHED = 3_000
BY_NUMBER = "IXSCAN { processing.handed.relay: 1, processing.handed.number: 1 }"
OTHER = ObjectId("6a0000000000000000000002")


def a_document(number: int, relay: ObjectId = RELAY) -> dict[str, Any]:
    handed = {"relay": relay, "number": number, "revision": 1}
    return {"processing": {"revision": 1, "outbox": [{"revision": 1}], "handed": handed}}


@pytest.fixture
async def store(mongo_database: Database) -> MongoProgressStore:
    """A relay has published thousands, left one, has one in hand, and got one since its last account."""
    await mongo_database[PROGRESSES].insert_many([a_document(number) for number in range(1, PUBLISHED + 1)])
    await mongo_database[PROGRESSES].insert_one(a_document(PUBLISHED + 1))
    store = MongoProgressStore(mongo_database)
    await store.keep_account(the_account(), at(0), at(60))
    return store


def the_account() -> Account:
    return Account(RELAY, PUBLISHED, open=frozenset({7}), left=frozenset({5}))


async def looked(database: Database, seconds: float, store: MongoProgressStore) -> list[dict[str, Any]]:
    """What a relay's look for what others have left asks of the progress documents."""
    return await profiled(database, store._relays.mark_left(at(seconds)))


def examined(operations: Sequence[Mapping[str, Any]]) -> int:
    return max((max(it.get("keysExamined", 0), it.get("docsExamined", 0)) for it in operations), default=0)


async def marked(database: Database) -> list[int]:
    """The places of the documents that were marked for any relay."""
    places = [it["_id"] async for it in database[PROGRESSES].find({}, {"_id": 1}).sort("_id")]
    return [places.index(it["_id"]) + 1 async for it in database[PROGRESSES].find({"processing.publish": at(70)})]


async def test_a_first_look_marks_by_the_index_of_what_was_handed_over(
    store: MongoProgressStore, mongo_database: Database
) -> None:
    operations = await looked(mongo_database, 70, MongoProgressStore(mongo_database))
    assert [it["planSummary"] for it in operations if it["op"] == "query"] == [BY_NUMBER, BY_NUMBER]
    assert {it["planSummary"] for it in operations if it["op"] == "update"} == {"IXSCAN { _id: 1 }"}
    assert examined(operations) <= 6
    assert sorted(await marked(mongo_database)) == [5, 7, PUBLISHED + 1]


async def test_an_audit_goes_through_no_published_documents(
    store: MongoProgressStore, mongo_database: Database
) -> None:
    """Nearly all documents there are name a relay."""
    await mongo_database[PROGRESSES].insert_one(a_document(1, OTHER))
    operations = await profiled(mongo_database, store.audit(at(70)))
    [distinct] = [it for it in operations if it["command"].get("distinct") == PROGRESSES]
    assert distinct["planSummary"] == BY_NUMBER.replace("IXSCAN", "DISTINCT_SCAN")
    assert examined([distinct]) <= 6


async def test_r1_an_audit_finds_what_names_a_relay_without_an_account(
    store: MongoProgressStore, mongo_database: Database
) -> None:
    await mongo_database[PROGRESSES].insert_many([a_document(number, OTHER) for number in range(1, 1_001)])
    await MongoProgressStore(mongo_database).audit(at(70))
    assert len(await marked(mongo_database)) == 1_000


async def test_much_that_is_to_be_marked_is_marked_in_pages(mongo_database: Database) -> None:
    """One write of it all could outlast its client, which would try it again and again."""
    number = 2 * PAGE + 1
    await mongo_database[PROGRESSES].insert_many([a_document(number) for number in range(1, number + 1)])
    store = MongoProgressStore(mongo_database)
    assert [await store.audit(at(70)) for _ in range(4)] == [False, False, True, True]
    assert await mongo_database[PROGRESSES].count_documents({"processing.publish": at(70)}) == number
    await mongo_database[PROGRESSES].delete_many({})
    await mongo_database[PROGRESSES].insert_many([a_document(number) for number in range(1, number + 1)])
    await store.keep_account(Account(RELAY), at(70), at(71))
    counts = []
    for seconds in (80, 82, 84, 86):
        operations = await looked(mongo_database, seconds, store)
        assert max((it["nModified"] for it in operations if it["op"] == "update"), default=0) <= PAGE
        counts.append(await mongo_database[PROGRESSES].count_documents({"processing.publish": {"$exists": True}}))
        await mongo_database["system.profile"].drop()
    assert counts == [PAGE, 2 * PAGE, number, number]


async def test_a_look_for_what_a_live_relay_has_left_reads_only_that(
    store: MongoProgressStore, mongo_database: Database
) -> None:
    other = MongoProgressStore(mongo_database)
    await other._relays.mark_left(at(1))
    await store.keep_account(Account(RELAY, PUBLISHED, left=frozenset({5, 9, 2_000})), at(2), at(90))
    operations = await looked(mongo_database, 70, other)
    assert [it["planSummary"] for it in operations] == [BY_NUMBER, "IXSCAN { _id: 1 }"]
    assert examined(operations) <= 8
    assert sorted(await marked(mongo_database)) == [9, 2_000]


async def test_a_store_looks_once_a_while_and_not_for_the_same_again_before_long(
    store: MongoProgressStore, mongo_database: Database
) -> None:
    other, moment = MongoProgressStore(mongo_database), BETWEEN.total_seconds()
    await other._relays.mark_left(at(70))
    await mongo_database["system.profile"].drop()
    assert await looked(mongo_database, 70 + moment / 2, other) == []
    assert await looked(mongo_database, 70 + moment, other) == []
    assert len(await looked(mongo_database, 70 + AGAIN.total_seconds(), other)) == 2


async def test_backlog_and_locks_read_no_published_document(
    store: MongoProgressStore, mongo_database: Database
) -> None:
    async def asked() -> None:
        assert (await store.backlog(at(1))).outbox == 3
        assert len(await store.locks(10)) == 3

    operations = await profiled(mongo_database, asked())
    assert not [it for it in operations if "COLLSCAN" in it["planSummary"]]
    assert examined(operations) <= 12


async def test_an_account_is_out_of_the_index_long_after_its_lease(
    store: MongoProgressStore, mongo_database: Database
) -> None:
    await store._relays.mark_left(at(70))
    assert await mongo_database[RELAYS].count_documents({"until": {"$exists": True}}) == 1
    await store._relays.mark_left(at(100 + KEPT.total_seconds()))
    assert await mongo_database[RELAYS].count_documents({"until": {"$exists": True}}) == 0
    assert await mongo_database[RELAYS].count_documents({}) == 1
