"""I3 for a record that the client library cannot read: parked, and nothing around it lost."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from typing import Any

import orjson
import pytest
from aiokafka import TopicPartition
from bson import ObjectId

from processor.app import Part, run_processor
from processor.core.decode import Tenancy
from processor.core.journey import compile_journey
from processor.core.letters import Selection
from processor.core.rereading import Scope
from processor.opening import open_stores
from processor.operating import apply_journeys, create_all_topics, replay_dead_letters
from processor.settings import Settings
from processor.store.connect import Database
from processor.transport.history import open_history
from processor.transport.reading import read_all as read_all_records
from processor.transport.reading import read_one
from processor.transport.records import record_of
from schemas.journey import with_ids
from tests.acceptance.world import header, produce, read_all, until_quiet
from tests.builders import a_statement

ORGANISATION = ObjectId("59198183d8ea540933227033")
JOURNEY = with_ids(
    {
        "organisation": str(ORGANISATION),
        "description": "One thing",
        "isActive": True,
        "waypoints": [{"conditions": {"statement.verb.id": "http://example.org/did"}}],
    }
)

PRODUCER = """
import asyncio, sys
from aiokafka import AIOKafkaProducer

class NotUtf8(str):
    def encode(self, *_):
        return b"\\xff\\xfedid"

async def main(servers, topic, partition, compression):
    how = {'compression_type': compression or None, 'max_batch_size': 900_000}
    async with AIOKafkaProducer(bootstrap_servers=servers, **how) as producer:
        batch = producer.create_batch()
        for value in sys.stdin.read().splitlines():
            name = NotUtf8("x") if value.startswith("!") else "fine"
            value = value.removeprefix("!").encode()
            assert batch.append(key=b"key", value=value, timestamp=None, headers=[("a", b"b"), (name, b"y")])
        await (await producer.send_batch(batch, topic, partition=int(partition)))

asyncio.run(main(*sys.argv[1:]))
"""
"""Only aiokafka's Python code lets such a name through, and it is chosen when a process starts."""


def produce_unreadable(settings: Settings, partition: int, *values: str, compression: str = "") -> None:
    """Produce values as one batch; of those that begin with `!` a header's name is not UTF-8."""
    arguments = [settings.kafka_bootstrap_servers, settings.statements_topic, str(partition), compression]
    environment = {**os.environ, "AIOKAFKA_NO_EXTENSIONS": "1"}
    command = [sys.executable, "-c", PRODUCER, *arguments]
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True, input="\n".join(values))


def did(numbers: Iterable[int]) -> list[dict[str, Any]]:
    """Statements of one learner each."""
    return [a_statement(n, actor={"mbox": f"mailto:{n}@example.org"}) for n in numbers]


async def run_until_quiet(settings: Settings) -> list[Mapping[str, Any]]:
    """Run a processor until all is read; return the documents it leaves."""
    stop = asyncio.Event()
    running = asyncio.create_task(run_processor(settings, tuple(Part), stop))
    try:
        await until_quiet(settings)
    finally:
        stop.set()
        await running
    async with open_stores(settings) as stores:
        return [document async for document in stores.reader.find(limit=1_000)]


async def test_i3_a_header_name_that_is_not_utf_8_stops_nothing(settings: Settings, mongo_database: Database) -> None:
    await create_all_topics(settings)
    await apply_journeys(settings, [JOURNEY])
    statements = did(range(60))
    await produce(settings, statements[:40])
    produce_unreadable(settings, 1, "!{}")
    await produce(settings, statements[40:])
    produce_unreadable(settings, 1, "!{}")
    produce_unreadable(settings, 2, "!{}")
    documents = await run_until_quiet(settings)
    assert len(documents) == 60
    assert all(document["isCompleted"] for document in documents)
    letters = await read_all(settings, settings.dead_letters_topic)
    places = {(header(it, "dead-letter-partition"), header(it, "dead-letter-offset")) for it in letters}
    assert places == {("1", "10"), ("1", "16"), ("2", "15")}
    assert {header(it, "dead-letter-reason") for it in letters} == {"unreadable"}


@pytest.mark.parametrize("compression", ["", "lz4"])
async def test_i3_the_neighbours_in_its_batch_count_and_it_is_parked_whole_and_replayed(
    settings: Settings, mongo_database: Database, compression: str
) -> None:
    await create_all_topics(settings)
    await apply_journeys(settings, [JOURNEY])
    first, bad, *others = [orjson.dumps(statement).decode() for statement in did(range(300))]
    await produce(settings, did(range(300, 304)))
    produce_unreadable(settings, 0, first, "!" + bad, *others, compression=compression)
    assert len(await run_until_quiet(settings)) == 303
    [letter] = await read_all(settings, settings.dead_letters_topic)
    assert (letter.key, letter.value) == (b"key", bad.encode())
    assert letter.headers[:2] == (("a", b"b"), (r"\xff\xfedid", b"y"))
    assert header(letter, "dead-letter-reason") == "unreadable"
    assert header(letter, "dead-letter-offset") == "2"
    assert (await replay_dead_letters(settings, Selection())).published == 1
    assert len(await run_until_quiet(settings)) == 304


async def test_commands_and_a_recalculation_read_past_it(settings: Settings) -> None:
    await create_all_topics(settings)
    values = [orjson.dumps(statement).decode() for statement in did(range(8))]
    for partition in (0, 2):
        produce_unreadable(settings, partition, values[partition], "!{}", *values[partition + 1 : partition + 4])
    await produce(settings, did(range(10, 26)))
    scope = Scope(compile_journey(JOURNEY))
    async with open_history(settings.model_copy(update={"batch_records": 3}), Tenancy(ORGANISATION)) as history:
        chunk = await history.statements(scope, None)
        found = [it.record.offset for it in chunk.statements]
        while chunk.position is not None:
            chunk = await history.statements(scope, chunk.position)
            found += [it.record.offset for it in chunk.statements]
    assert len(found) == 24
    async with aclosing(read_all_records(settings, settings.statements_topic)) as records:
        assert len([record async for record in records]) == 26
    one = await read_one(settings, TopicPartition(settings.statements_topic, 2), 1)
    assert one is not None
    assert record_of(one).value == b"{}"
    after = await read_one(settings, TopicPartition(settings.statements_topic, 2), 2)
    assert after is not None
    assert after.value == values[3].encode()
