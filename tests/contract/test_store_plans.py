"""No claim reads the whole collection: what MongoDB's profiler says of the store's own operations."""

from collections.abc import Awaitable
from typing import Any

import pytest
from msgspec.structs import replace

from processor.core.rereading import Scope
from processor.store.connect import PROGRESSES, Database
from processor.store.history import MongoHistory
from processor.store.indexes import INDEXES, ensure_indexes
from processor.store.progress import MongoProgressStore
from processor.store.queues import SLACK
from processor.store.replays import MongoReplayStore
from tests.builders import JOURNEY, a_promotion, an_append, at, journey_rules

AT_REST = 200


@pytest.fixture
async def store(mongo_database: Database) -> MongoProgressStore:
    """Documents at rest, and a few of every kind that a claim looks for."""
    store = MongoProgressStore(mongo_database)
    await store.append([an_append(owner=f"o{number}") for number in range(AT_REST)], [], at(0))
    await settled(store, 1)
    await store.append([an_append(owner=f"o{number}") for number in range(3)], [], at(10))
    return store


async def settled(store: MongoProgressStore, seconds: int) -> None:
    claim = await store.claim("settle", at(seconds), at(seconds + 60), AT_REST)
    await store.apply(claim, [a_promotion(document) for document in claim.documents], at(seconds))
    relayed = await store.claim_events("settle", at(seconds), at(seconds + 60), AT_REST)
    await store.forget([(relayed, {progress: events[-1].revision for progress, events in relayed.outboxes.items()})])


async def profiled(
    database: Database, operation: Awaitable[object], collection: str = PROGRESSES
) -> list[dict[str, Any]]:
    """The plans of what an operation asked of the progress documents, or of another collection."""
    await database.command("profile", 2)
    await operation
    await database.command("profile", 0)
    namespace = f"{database.name}.{collection}"
    return await database["system.profile"].find({"ns": namespace, "planSummary": {"$exists": True}}).to_list()


def plans(operations: list[dict[str, Any]]) -> list[str]:
    return [operation["planSummary"] for operation in operations]


async def test_a_claim_finds_its_documents_by_due_and_lease(
    store: MongoProgressStore, mongo_database: Database
) -> None:
    first = MongoProgressStore(mongo_database)  # another has looked through the leases before
    operations = await profiled(mongo_database, first.claim("key", at(20), at(80), 10))
    assert plans(operations)[:2] == ["IXSCAN { processing.lease: 1 }", "IXSCAN { processing.due: 1 }"]
    assert max(operation.get("docsExamined", 0) for operation in operations) <= 3


async def test_a_claim_after_another_passes_over_what_is_long_at_rest(
    store: MongoProgressStore, mongo_database: Database
) -> None:
    """Not from the start of the index, where entries lie that are deleted; and not through the leases that last."""
    await store.claim("key", at(20), at(80), 10)
    await store.append([an_append(owner="next")], [], at(21))
    await mongo_database.command("profile", 2)
    assert len((await store.claim("next", at(21), at(81), 10)).documents) == 1
    await mongo_database.command("profile", 0)
    looks = await mongo_database["system.profile"].find({"command.sort": {"$exists": True}}).to_list()
    assert [look["command"]["filter"] for look in looks] == [{"processing.due": {"$gte": at(20) - SLACK}}]


async def test_a_claim_reads_what_it_takes_and_not_the_backlog(
    store: MongoProgressStore, mongo_database: Database
) -> None:
    """Left alone, the planner may find the claimed ids through the marks: all that is due, at every claim."""
    await store.append([an_append(owner=f"late{number}") for number in range(3_000)], [], at(11))
    operations = await profiled(mongo_database, store.claim("key", at(20), at(80), 300))
    assert sum(operation.get("docsExamined", 0) for operation in operations) <= 3 * 300


async def test_a_relay_finds_its_documents_by_publish_and_lease(
    store: MongoProgressStore, mongo_database: Database
) -> None:
    claim = await store.claim("key", at(20), at(80), 10)
    await store.apply(claim, [a_promotion(document) for document in claim.documents], at(21))
    first = MongoProgressStore(mongo_database)
    operations = await profiled(mongo_database, first.claim_events("relay", at(22), at(82), 10))
    assert plans(operations)[:2] == ["IXSCAN { processing.relayLease: 1 }", "IXSCAN { processing.publish: 1 }"]
    assert max(operation.get("docsExamined", 0) for operation in operations) <= 3


async def test_r2_what_a_relay_publishes_is_read_as_a_majority_has_it(
    store: MongoProgressStore, mongo_database: Database
) -> None:
    """Else an event could be told, and rolled back, and another come under its revision."""
    claim = await store.claim("key", at(20), at(80), 3)
    await store.apply(claim, [a_promotion(document) for document in claim.documents], at(21))
    *_, read = await profiled(mongo_database, store.claim_events("relay", at(22), at(82), 10))
    assert read["command"]["projection"] == {"processing.outbox": 1, "processing.handed": 1}
    assert read["readConcern"]["level"] == "majority"


async def test_mark_due_and_backlog_read_no_document_that_they_do_not_concern(
    store: MongoProgressStore, mongo_database: Database
) -> None:
    async def asked() -> None:
        assert await store.mark_due({JOURNEY: 1}, at(30)) == 0
        assert (await store.backlog(at(30))).due == 3

    operations = await profiled(mongo_database, asked())
    assert not [plan for plan in plans(operations) if "COLLSCAN" in plan]
    assert max(operation.get("docsExamined", 0) for operation in operations) <= 3


async def test_a_document_at_rest_is_in_none_of_the_indexes_of_marks(
    store: MongoProgressStore, mongo_database: Database
) -> None:
    await settled(store, 40)
    validated = await mongo_database.command("validate", PROGRESSES)
    keys = {name: count for name, count in validated["keysPerIndex"].items() if name.startswith("processing_")}
    assert keys == dict.fromkeys(
        ("processing_due", "processing_lease", "processing_publish", "processing_relayLease"), 0
    )


async def test_making_the_indexes_again_changes_nothing(mongo_database: Database) -> None:
    before = await mongo_database[PROGRESSES].index_information()
    await ensure_indexes(mongo_database)
    assert await mongo_database[PROGRESSES].index_information() == before
    assert set(before) == {"_id_"} | {index.document["name"] for index in INDEXES[PROGRESSES]}


async def test_a_recalculation_finds_what_it_has_touched(store: MongoProgressStore, mongo_database: Database) -> None:
    replays = MongoReplayStore(mongo_database)
    await replays.append([replace(an_append(owner=f"o{number}"), replay="chunk") for number in range(2)], [], at(12))
    operations = await profiled(mongo_database, replays.wake(JOURNEY, 10, at(13)))
    assert not [plan for plan in plans(operations) if "COLLSCAN" in plan]
    assert max(operation.get("docsExamined", 0) for operation in operations) <= 2


async def test_a_recalculation_pages_through_a_journeys_documents(
    store: MongoProgressStore, mongo_database: Database
) -> None:
    history = MongoHistory(mongo_database, documents=20)
    scope = Scope(journey_rules((0, 1)))
    first = await history.evidence(scope, None)
    [page] = await profiled(mongo_database, history.evidence(scope, first.position))
    assert page["planSummary"] == "IXSCAN { organisation: 1, journey: 1, _id: 1 }"
    assert page["docsExamined"] == 20
