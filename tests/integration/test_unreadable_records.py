"""I3 for a record that the client library cannot read: parked by its place, and nothing around it lost."""

import asyncio
import os
import subprocess
import sys

from processor.app import Part, run_processor
from processor.opening import open_stores
from processor.operating import apply_journeys, create_all_topics
from processor.settings import Settings
from processor.store.connect import Database
from schemas.journey import with_ids
from tests.acceptance.world import header, produce, read_all, until_quiet
from tests.builders import a_statement

JOURNEY = with_ids(
    {
        "organisation": "59198183d8ea540933227033",
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
        return b"\\xff\\xfe"

async def main(servers, topic, partition):
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        await producer.send_and_wait(topic, b"{}", partition=partition, headers=[(NotUtf8("x"), b"y")])

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""
"""Only aiokafka's Python code lets such a name through, and it is chosen when a process starts."""


def produce_unreadable(settings: Settings, partition: int) -> None:
    addresses = [settings.kafka_bootstrap_servers, settings.statements_topic, str(partition)]
    environment = {**os.environ, "AIOKAFKA_NO_EXTENSIONS": "1"}
    subprocess.run([sys.executable, "-c", PRODUCER, *addresses], env=environment, check=True, capture_output=True)


async def test_i3_a_header_name_that_is_not_utf_8_stops_nothing(settings: Settings, mongo_database: Database) -> None:
    await create_all_topics(settings)
    await apply_journeys(settings, [JOURNEY])
    statements = [a_statement(n, actor={"mbox": f"mailto:{n}@example.org"}) for n in range(60)]
    await produce(settings, statements[:40])
    produce_unreadable(settings, 1)
    await produce(settings, statements[40:])
    produce_unreadable(settings, 1)
    produce_unreadable(settings, 2)
    stop = asyncio.Event()
    running = asyncio.create_task(run_processor(settings, tuple(Part), stop))
    try:
        await until_quiet(settings)
    finally:
        stop.set()
        await running
    async with open_stores(settings) as stores:
        documents = [document async for document in stores.reader.find(limit=1_000)]
    assert len(documents) == 60
    assert all(document["isCompleted"] for document in documents)
    letters = await read_all(settings, settings.dead_letters_topic)
    places = {(header(it, "dead-letter-partition"), header(it, "dead-letter-offset")) for it in letters}
    assert places == {("1", "10"), ("1", "16"), ("2", "15")}
    assert {header(it, "dead-letter-reason") for it in letters} == {"unreadable"}
