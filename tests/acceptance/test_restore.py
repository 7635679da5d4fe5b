"""A database that is restored from a dump, by the steps of deploy/OPERATING.md: nothing is lost, subscribers go on.

Collections are copied and offsets set by drivers here, not by MongoDB's and Kafka's tools.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from processor.opening import open_stores
from processor.operating import create_all_topics
from processor.settings import Settings
from processor.store.connect import PROGRESSES, Database
from processor.transport.topics import group_lag
from schemas.journey import journey_document, journey_from, with_ids
from schemas.progress import render_progress
from tests.acceptance.commands import running
from tests.acceptance.serving import until
from tests.acceptance.world import header, produce, read_all, until_quiet

VERB = "http://adlnet.gov/expapi/verbs/completed"
JOURNEY = {
    "description": "Fifty times",
    "isActive": True,
    "waypoints": [{"conditions": {"statement.verb.id": VERB}, "count": 50}],
}
LEARNERS = 5
LATE = 4
"""The learner who begins after the dump."""

RAISED = 1_000_000

Dump = Mapping[str, list[dict[str, Any]]]


async def test_what_was_lost_since_the_dump_is_read_again_and_subscribers_miss_nothing(
    settings: Settings, mongo_database: Database, tmp_path: Path
) -> None:
    await create_all_topics(settings)
    journey = journey_from(with_ids({**JOURNEY, "organisation": settings.default_organisation}))
    async with open_stores(settings) as stores:
        await stores.catalog.save([journey_document(journey)])

    with running(settings, tmp_path / "before.log") as process:
        await _wave(settings, 1)
        await _wave(settings, 2)
        dump, offsets = await _dumped(mongo_database), await _ends(settings)
        for number in (3, 4, 5, 6):  # an event each, which take revisions that will be given again
            await _wave(settings, number)
        assert process.stop() == 0
    before = await _revisions(mongo_database)

    await _restore(mongo_database, dump)
    await _reset(settings, offsets)
    with running(settings, tmp_path / "ingest.log", "ingest") as process:
        await _until_read(settings)
        assert process.stop() == 0
    await mongo_database[PROGRESSES].update_many({}, {"$inc": {"processing.revision": RAISED}})

    with running(settings, tmp_path / "after.log") as process:
        await until_quiet(settings)
        await _wave(settings, 7)
        assert process.stop() == 0

    documents = await mongo_database[PROGRESSES].find().to_list()
    assert len(documents) == LEARNERS
    after = await _revisions(mongo_database)
    assert all(revision - RAISED < before[key] for key, revision in after.items()), "else nothing had to be raised"
    known = await _known_to_a_subscriber(settings)
    for document in documents:
        [attempt] = document["completions"]
        [waypoint] = attempt["waypoints"].values()
        is_late = document["owner"]["ident"]["mbox"] == _mailbox(LATE)
        assert len(waypoint["statements"]) == (5 if is_late else 7)
        assert known[str(document["_id"])] == render_progress(document, with_pending=False)


async def _wave(settings: Settings, number: int) -> None:
    """One statement of each learner, and the events of it."""
    await produce(
        settings,
        [
            {
                "id": f"6690e6c9-3ef0-4ed3-8b37-{number:04d}{learner:08d}",
                "actor": {"mbox": _mailbox(learner)},
                "verb": {"id": VERB},
                "object": {"id": "http://example.org/talks/1"},
                "timestamp": f"2026-01-01T10:00:0{number}.000Z",
            }
            for learner in range(LEARNERS)
            if learner != LATE or number > 2
        ],
    )
    await until_quiet(settings)


def _mailbox(learner: int) -> str:
    return f"mailto:learner-{learner}@example.org"


async def _until_read(settings: Settings) -> None:
    async def is_read() -> bool:
        return not sum((await group_lag(settings)).values())

    await until(is_read, "nothing is unread")


async def _revisions(database: Database) -> dict[str, int]:
    return {str(it["_id"]): it["processing"]["revision"] async for it in database[PROGRESSES].find()}


async def _dumped(database: Database) -> Dump:
    return {name: await database[name].find().to_list() for name in await database.list_collection_names()}


async def _restore(database: Database, dump: Dump) -> None:
    """As `mongorestore --drop` does it, but for the indexes: a process makes those that are missing."""
    for name in await database.list_collection_names():
        await database.drop_collection(name)
    for name, documents in dump.items():
        if documents:
            await database[name].insert_many(documents)


async def _ends(settings: Settings) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers)
    await consumer.start()
    try:
        partitions = [TopicPartition(settings.statements_topic, it) for it in range(settings.topic_partitions)]
        return dict(await consumer.end_offsets(partitions))
    finally:
        await consumer.stop()


async def _reset(settings: Settings, offsets: Mapping[TopicPartition, int]) -> None:
    """As `kafka-consumer-groups.sh --reset-offsets` does it, to a record before the dump: too early is harmless."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers, group_id=settings.consumer_group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign(list(offsets))
        await consumer.commit({partition: max(offset - 1, 0) for partition, offset in offsets.items()})
    finally:
        await consumer.stop()


async def _known_to_a_subscriber(settings: Settings) -> dict[str, dict[str, Any]]:
    """What is known of each document to who keeps the highest revision and skips what is not above it."""
    seen: dict[str, int] = {}
    known: dict[str, dict[str, Any]] = {}
    for record in await read_all(settings, settings.progress_topic):
        key, revision = record.key.decode(), int(header(record, "ce_sequence") or 0)
        if revision > seen.get(key, 0):
            seen[key], known[key] = revision, orjson.loads(record.value)
            del known[key]["changes"]
    return known
