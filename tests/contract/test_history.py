"""One contract for `ports.History`: the statements there have been, from the collection, the topic, and in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewPartitions
from bson import Int64, ObjectId

from processor.core.decode import Tenancy, stored_statement
from processor.core.evidence import Append
from processor.core.identity import Identification, progress_id
from processor.core.index import JourneyIndex
from processor.core.journey import compile_journey
from processor.core.matching import match
from processor.core.rereading import Scope, evidence_of
from processor.errors import BrokerUnavailable
from processor.ports.recalculation import History, Reread
from processor.settings import Settings
from processor.store.connect import STATEMENTS, Database
from processor.store.history import MongoHistory
from processor.store.progress import MongoProgressStore
from processor.testing.broker import MemoryBroker
from processor.testing.database import MemoryDatabase
from processor.testing.recalculations import MemoryHistory
from processor.testing.store import MemoryProgressStore
from processor.transport.admin import open_admin
from processor.transport.history import KafkaHistory, open_history
from processor.transport.reading import partitions_in
from processor.transport.topics import create_topics, delete_topics, present_topics
from schemas.rendering import rendered
from tests.acceptance.world import produce
from tests.builders import JOURNEY, ORGANISATION, a_reference, an_owner, at
from tests.contract.test_store_plans import plans, profiled
from tests.simulation.recalculating import a_stored, a_waypoint, the_journey

RULES = compile_journey(the_journey(a_waypoint(0, "a"), a_waypoint(1, "b")))
OTHERS = ObjectId("69198183d8ea540933227033")
TOPIC = "statements"
STORED = [
    a_stored(1, "a"),
    a_stored(2, "b"),
    a_stored(3, "c"),
    a_stored(4, "a", "ben"),
    a_stored(5, "b", "ben", organisation=OTHERS),
    a_stored(6, "b", "cem"),
]
HELD = {a_reference(number) for number in (1, 2, 4, 6)}


def appends() -> list[Append]:
    """The evidence of three documents."""
    records = [record for document in STORED if (record := stored_statement(document))]
    return match(records, JourneyIndex([RULES]), Identification()).appends


@dataclass(frozen=True, slots=True)
class Past:
    """A history of `STORED`, what both stages look at in it, and whether it says itself who holds what."""

    history: History
    size: int = 3 + len(STORED)
    knows_holders: bool = True


@pytest.fixture
async def kafka(settings: Settings) -> AsyncIterator[KafkaHistory]:
    await create_topics(settings)
    async with open_history(settings.model_copy(update={"batch_records": 2}), Tenancy()) as history:
        yield history


@pytest.fixture(
    params=["memory", "memory topic", *(pytest.param(it, marks=pytest.mark.servers) for it in ("mongo", "kafka"))]
)
def past(request: pytest.FixtureRequest) -> Callable[[], Awaitable[Past]]:
    async def in_memory() -> Past:
        memory = MemoryDatabase()
        memory.statements = {document["_id"]: document for document in STORED}
        await MemoryProgressStore(memory).append(appends(), [], at(0))
        return Past(MemoryHistory(memory))

    async def in_a_topic() -> Past:
        broker = MemoryBroker()
        for document in STORED:
            broker.append(TOPIC, orjson.dumps(rendered(document)))
        return Past(MemoryHistory(MemoryDatabase(), broker, TOPIC), 2 * len(STORED), knows_holders=False)

    if request.param == "memory":
        return in_memory
    if request.param == "memory topic":
        return in_a_topic
    if request.param == "mongo":
        database: Database = request.getfixturevalue("mongo_database")

        async def in_mongo() -> Past:
            await database[STATEMENTS].insert_many(STORED)
            await MongoProgressStore(database).append(appends(), [], at(0))
            return Past(MongoHistory(database, window=2, documents=2))

        return in_mongo
    settings: Settings = request.getfixturevalue("settings")
    history: KafkaHistory = request.getfixturevalue("kafka")

    async def in_kafka() -> Past:
        await produce(settings, [*map(rendered, STORED), b"not json"])
        return Past(history, 2 * (len(STORED) + 1), knows_holders=False)

    return in_kafka


Pasts = Callable[[], Awaitable[Past]]


async def every(read: Callable[[Scope, Any | None], Awaitable[Reread]], scope: Scope) -> list[Reread]:
    """Read chunk by chunk to the end."""
    chunks = [await read(scope, None)]
    while chunks[-1].position is not None:
        assert len(chunks) < 100
        chunks.append(await read(scope, chunks[-1].position))
    return chunks


def references(chunks: Sequence[Reread]) -> set[ObjectId]:
    found = [record.reference for chunk in chunks for record in chunk.statements]
    assert len(found) == len(set(found))
    return set(found)


async def test_all_that_could_match_is_read_chunk_by_chunk_and_nothing_of_other_tenants(past: Pasts) -> None:
    chunks = await every((await past()).history.statements, Scope(RULES))
    assert references(chunks) >= HELD
    assert a_reference(5) not in references(chunks)
    assert len(chunks) > 1


async def test_a_chunk_read_again_is_the_same(past: Pasts) -> None:
    """A crash after the writes repeats the chunk."""
    history = (await past()).history
    first = await history.statements(Scope(RULES), None)
    await history.statements(Scope(RULES), first.position)
    again = await history.statements(Scope(RULES), first.position)
    rest = await every(lambda scope, position: history.statements(scope, position or again.position), Scope(RULES))
    assert references([first, again]) | references(rest) >= HELD


async def test_what_is_held_as_evidence_is_read_and_who_holds_it(past: Pasts) -> None:
    made = await past()
    chunks = await every(made.history.evidence, Scope(RULES))
    assert references(chunks) >= HELD
    assert a_reference(5) not in references(chunks)
    if made.knows_holders:
        holders = [document["_id"] for chunk in chunks for document in chunk.holders or ()]
        assert sorted(holders) == sorted(append.progress for append in appends())
    else:
        assert all(chunk.holders is None for chunk in chunks)


async def test_one_document_alone(past: Pasts) -> None:
    made = await past()
    only = appends()[0].progress
    chunks = await every(made.history.evidence, Scope(RULES, only))
    if made.knows_holders:
        assert references(chunks) == {a_reference(1), a_reference(2)}
        assert [document["_id"] for chunk in chunks for document in chunk.holders or ()] == [only]
    else:  # who holds what is looked for afterwards
        assert references(chunks) == {a_reference(number) for number in (1, 2, 3, 4, 6)}
        assert all(chunk.holders is None for chunk in chunks)


MUCH = {"ana": range(1, 9), "ben": range(11, 13), "cem": range(21, 25)}


@pytest.fixture(params=["memory", pytest.param("mongo", marks=pytest.mark.servers)])
def much(request: pytest.FixtureRequest) -> Callable[[Sequence[dict[str, Any]], Sequence[Append]], Awaitable[History]]:
    database: Database | None = request.getfixturevalue("mongo_database") if request.param == "mongo" else None

    async def made(stored: Sequence[dict[str, Any]], found: Sequence[Append]) -> History:
        """A history of statements, in chunks of three, and the evidence in them."""
        if database is not None:
            await database[STATEMENTS].insert_many(stored)
            await MongoProgressStore(database).append(found, [], at(0))
            return MongoHistory(database, references=3)
        memory = MemoryDatabase()
        memory.statements = {document["_id"]: document for document in stored}
        await MemoryProgressStore(memory).append(found, [], at(0))
        return MemoryHistory(memory, chunk=5, most=3)

    return made


async def test_of_a_document_that_holds_much_a_part_is_read_at_a_time(
    much: Callable[[Sequence[dict[str, Any]], Sequence[Append]], Awaitable[History]],
) -> None:
    """What is read at once is judged in one go, however long a learner's history."""
    stored = [a_stored(number, "a", name) for name, several in MUCH.items() for number in several]
    records = [record for document in stored if (record := stored_statement(document))]
    found = match(records, JourneyIndex([RULES]), Identification()).appends
    history = await much(stored, found)
    chunks = await every(history.evidence, Scope(RULES))
    assert references(chunks) == {document["_id"] for document in stored}
    assert all(len(chunk.statements) == 3 for chunk in chunks[:-1])
    assert sum(chunk.looked for chunk in chunks) == len(found)
    for chunk in chunks:
        held = {statement for holder in chunk.holders or () for _, statement in evidence_of(holder)}
        assert {record.reference for record in chunk.statements} <= held
    [ana] = [append.progress for append in found if append.progress == progress_id(ORGANISATION, JOURNEY, an_owner())]
    alone = await every(history.evidence, Scope(RULES, ana))
    assert references(alone) == set(map(a_reference, MUCH["ana"]))
    assert [(len(chunk.statements), chunk.looked) for chunk in alone] == [(3, 0), (3, 0), (2, 1)]


async def test_the_size_is_what_will_be_looked_at(past: Pasts) -> None:
    made = await past()
    assert await made.history.size(Scope(RULES)) == made.size


async def test_a_database_without_statements_has_no_history(mongo_database: Database) -> None:
    history = MongoHistory(mongo_database)
    assert await history.statements(Scope(RULES), None) == Reread((), None, 5_000, None)
    assert await history.evidence(Scope(RULES), None) == Reread((), (), 0, None)


async def test_an_empty_topic_has_no_history(kafka: KafkaHistory) -> None:
    assert await kafka.statements(Scope(RULES), None) == Reread((), None, 0, None)


async def test_what_comes_behind_the_end_of_the_topic_is_the_live_streams(
    kafka: KafkaHistory, settings: Settings
) -> None:
    await produce(settings, map(rendered, STORED))
    first = await kafka.statements(Scope(RULES), None)
    await produce(settings, map(rendered, [a_stored(number, "a") for number in range(20, 40)]))
    rest = await every(lambda scope, position: kafka.statements(scope, position or first.position), Scope(RULES))
    assert references([first, *rest]) == {a_reference(number) for number in (1, 2, 3, 4, 6)}
    assert sum(chunk.looked for chunk in (first, *rest)) == len(STORED)


async def test_a_topic_that_was_left_is_read_on_by_another_reader(kafka: KafkaHistory, settings: Settings) -> None:
    await produce(settings, map(rendered, STORED))
    first = await kafka.statements(Scope(RULES), None)
    await kafka.close()
    rest = await every(lambda scope, position: kafka.statements(scope, position or first.position), Scope(RULES))
    assert references([first, *rest]) >= HELD


async def test_a_transaction_that_stays_open_is_not_waited_for(kafka: KafkaHistory, settings: Settings) -> None:
    await produce(settings, map(rendered, STORED))
    servers = {"bootstrap_servers": settings.kafka_bootstrap_servers}
    async with AIOKafkaProducer(**servers, transactional_id=settings.client_id + settings.consumer_group) as open_one:
        await open_one.begin_transaction()
        await open_one.send_and_wait(settings.statements_topic, b"{}", partition=0)
        await produce(settings, [rendered(a_stored(20, "a"))])
        async with asyncio.timeout(20):
            chunks = await every(kafka.statements, Scope(RULES))
        assert references(chunks) == {a_reference(number) for number in (1, 2, 3, 4, 6)}
        assert sum(chunk.looked for chunk in chunks) == len(STORED)
        await open_one.abort_transaction()
    async with asyncio.timeout(20):
        while len(references(await every(kafka.statements, Scope(RULES)))) < 6:
            pass  # its end is written in a moment


@pytest.mark.parametrize("partitions", [1, 4])
async def test_a_topic_that_is_made_anew_meanwhile_ends_it(
    kafka: KafkaHistory, settings: Settings, partitions: int
) -> None:
    await produce(settings, [rendered(a_stored(number, "a")) for number in range(40)])
    first = await kafka.statements(Scope(RULES), None)
    await delete_topics(settings)
    while settings.statements_topic in await present_topics(settings):
        pass
    anew = settings.model_copy(update={"topic_partitions": partitions})
    await create_topics(anew)
    await produce(anew, map(rendered, STORED))
    async with asyncio.timeout(40):
        position = first.position
        while position is not None:
            try:
                chunk = await kafka.statements(Scope(RULES), position)
            except BrokerUnavailable:
                continue
            was = {place["partition"]: place["next"] for place in position}
            assert all(place["next"] >= was[place["partition"]] for place in chunk.position or ())
            assert chunk.looked >= 0
            position = chunk.position


async def test_partitions_that_were_added_since_a_reader_looked_are_read_in_anothers_recalculation(
    kafka: KafkaHistory, settings: Settings
) -> None:
    await produce(settings, [rendered(a_stored(1, "a"))])
    await every(kafka.statements, Scope(RULES))
    before = settings.topic_partitions
    async with open_admin(settings) as admin:
        await admin.create_partitions({settings.statements_topic: NewPartitions(before + 1)})
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers) as plain:
        value = orjson.dumps(rendered(a_stored(2, "a")))
        await plain.send_and_wait(settings.statements_topic, value, partition=before)
    position: Any | None = [{"partition": before, "next": 0, "end": 1}]
    chunks = []
    while position is not None:  # the first may be empty, while the reader learns who leads the partition
        chunks.append(await kafka.statements(Scope(RULES), position))
        position = chunks[-1].position
    assert references(chunks) == {a_reference(2)}


async def test_a_topic_that_is_away_is_waited_for_and_not_taken_as_read(
    kafka: KafkaHistory, settings: Settings
) -> None:
    await delete_topics(settings)
    while settings.statements_topic in await present_topics(settings):
        pass
    with pytest.raises(BrokerUnavailable, match="no topic"):
        await kafka.statements(Scope(RULES), [{"partition": 0, "next": 0, "end": 1}])


async def test_a_reader_that_could_not_be_started_is_not_kept(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker goes when the topic has been looked up; the second try would meet what was never connected."""
    await create_topics(settings)

    async def partitions_before_it_goes(_: Settings, topic: str) -> list[TopicPartition]:
        return await partitions_in(settings, topic)

    monkeypatch.setattr("processor.transport.history.partitions_in", partitions_before_it_goes)
    async with open_history(settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"}), Tenancy()) as gone:
        for _ in range(2):
            with pytest.raises(BrokerUnavailable):
                await gone.size(Scope(RULES))


async def test_a_chunk_of_the_topic_is_small_however_large_a_batch_of_ingest_is(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is judged in one go, beside the live stream."""
    monkeypatch.setattr("processor.transport.history.CHUNK", 5)
    await create_topics(settings)
    await produce(settings, [rendered(a_stored(number, "a")) for number in range(1, 41)])
    async with open_history(settings, Tenancy()) as history:
        chunks = await every(history.statements, Scope(RULES))
    assert len(references(chunks)) == 40
    assert max(len(chunk.statements) for chunk in chunks) <= 5 < settings.batch_records


async def test_evidence_is_never_looked_up_in_another_organisation(mongo_database: Database) -> None:
    """Two tenants may send the same UUID; one document is kept (DECISIONS.md, 8)."""
    await MongoProgressStore(mongo_database).append(appends(), [], at(0))
    await mongo_database[STATEMENTS].insert_one({**STORED[0], "organisation": OTHERS})
    assert (await MongoHistory(mongo_database).evidence(Scope(RULES), None)).statements == ()


async def test_mongo_leaves_out_what_cannot_match_and_sources_and_voided_ones(mongo_database: Database) -> None:
    store = ObjectId()
    voided = a_stored(7, "a", voided=True, lrs_id=store)
    await mongo_database[STATEMENTS].insert_many([*STORED, voided, a_stored(8, "a", lrs_id=store)])
    journey = the_journey(a_waypoint(0, "a"), a_waypoint(1, "b"), sources=[store])
    read = await MongoHistory(mongo_database).statements(Scope(compile_journey(journey)), None)
    assert references([read]) == {a_reference(8)}


async def test_mongo_looks_at_a_window_at_a_time_by_id(mongo_database: Database) -> None:
    await mongo_database[STATEMENTS].insert_many([a_stored(number, "c") for number in range(1, 200)])
    history = MongoHistory(mongo_database, window=20)
    await mongo_database[STATEMENTS].create_index("organisation")
    chunks = await every(history.statements, Scope(RULES))
    assert len(chunks) == 10
    operations = await profiled(mongo_database, history.statements(Scope(RULES), a_reference(100)), STATEMENTS)
    assert set(plans(operations)) == {"IXSCAN { _id: 1 }"}
    assert max(operation["docsExamined"] for operation in operations) <= 20


async def test_what_bson_makes_of_a_statement_matches_and_validates_as_in_the_stream(mongo_database: Database) -> None:
    """Whole numbers beyond 32 bits come back as another type."""
    large = a_stored(1, "a")
    large["statement"] |= {"result": {"score": {"raw": Int64(5_000_000_000)}, "extensions": {"http://x&46;y/z": 1}}}
    await mongo_database[STATEMENTS].insert_one(large)
    waypoint = {**a_waypoint(0, "a"), "conditions": {"statement.result.score.raw": 5_000_000_000}}
    rules = compile_journey(the_journey(waypoint))
    read = await MongoHistory(mongo_database).statements(Scope(rules), None)
    matched = match(read.statements, JourneyIndex([rules]), Identification())
    assert (matched.matches, matched.rejected) == (1, [])
