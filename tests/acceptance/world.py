"""What acceptance tests look at from outside: topics and collections, and when all is quiet."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from processor.operating import read_status
from processor.settings import Settings

QUIET_DEADLINE = 90.0


async def produce(settings: Settings, values: Iterable[Any], headers: Sequence[tuple[str, bytes]] = ()) -> None:
    """Publish JSON values (or bytes as they are) to the statements topic, spread over its partitions."""
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        acks="all",
        max_request_size=settings.kafka_max_message_bytes,
    )
    await producer.start()
    try:
        sent = [
            await producer.send(
                settings.statements_topic,
                value if isinstance(value, bytes) else orjson.dumps(value),
                headers=list(headers),
                partition=number % settings.topic_partitions,
            )
            for number, value in enumerate(values)
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def read_all(settings: Settings, topic: str) -> list[Any]:
    """Return every record of a topic up to its present end, partition by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(settings.topic_partitions)]
        ends = await consumer.end_offsets(partitions)
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        records: list[Any] = []
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                records += batch
        return records
    finally:
        await consumer.stop()


async def until_quiet(settings: Settings, seconds: float = QUIET_DEADLINE) -> None:
    """Wait until everything is read, promoted and published."""
    deadline = time.monotonic() + seconds
    while True:
        status = await read_status(settings)
        # What is not known yet: a fresh broker makes its first coordinator, or the machine is busy.
        lag, backlog = status.lag, status.backlog
        if lag is not None and backlog and not (sum(lag.values()) or backlog.due or backlog.claimed or backlog.outbox):
            return
        assert time.monotonic() < deadline, f"not quiet after {seconds} s: {status}"
        await asyncio.sleep(0.1)


def header(record: Any, name: str) -> str | None:
    """Return a record's header as text."""
    return next((value.decode() for key, value in record.headers if key == name), None)
