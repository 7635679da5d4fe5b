"""The job on FastStream, with either of its Kafka brokers: a batch subscriber that acknowledges when all is done.

At least once: `NACK_ON_ERROR` commits a batch after the function has returned, and seeks back when it raised. The
function gets the values as bytes (FastStream's own decoding would try what a content type is first) without the
validation of arguments; events go out one by one without waiting for each, as headers of their own rule its
`publish_batch` out, and all are awaited. uvloop, as FastStream's own command uses it. Lacks what `job.py` says.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from faststream import AckPolicy, FastStream
from faststream.confluent import KafkaBroker as ConfluentBroker
from faststream.kafka import KafkaBroker as AiokafkaBroker

from processor.settings import Settings
from tests.benchmarks.peers.database import open_asynchronously
from tests.benchmarks.peers.job import BATCH, LINGER, Event, Job, read

Handle = Callable[[Sequence[bytes]], Awaitable[None]]


async def run_on_confluent(settings: Settings) -> None:
    """Run on librdkafka until SIGTERM."""
    broker = ConfluentBroker(
        settings.kafka_bootstrap_servers,
        config={"compression.type": settings.kafka_compression, "linger.ms": 2},
        enable_idempotence=True,
        acks="all",
        apply_types=False,
        logger=None,
    )
    subscriber = broker.subscriber(
        settings.statements_topic,
        group_id=settings.consumer_group,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.NACK_ON_ERROR,
        batch=True,
        max_records=BATCH,
        polling_interval=LINGER,
        decoder=_undecoded,
    )
    await _run(settings, broker, subscriber)


async def run_on_aiokafka(settings: Settings) -> None:
    """Run on aiokafka until SIGTERM."""
    broker = AiokafkaBroker(
        settings.kafka_bootstrap_servers,
        compression_type=settings.kafka_compression,
        linger_ms=2,
        max_batch_size=524_288,
        enable_idempotence=True,
        acks="all",
        apply_types=False,
        logger=None,
    )
    subscriber = broker.subscriber(
        settings.statements_topic,
        group_id=settings.consumer_group,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.NACK_ON_ERROR,
        batch=True,
        max_records=BATCH,
        batch_timeout_ms=int(LINGER * 1000),
        max_partition_fetch_bytes=settings.kafka_max_message_bytes,
        decoder=_undecoded,
    )
    await _run(settings, broker, subscriber)


async def _undecoded(message: Any) -> Any:
    return message.body


async def _run(settings: Settings, broker: Any, subscriber: Any) -> None:
    async with open_asynchronously(settings) as (journeys, progresses):
        job = Job(journeys)

        async def publish(event: Event) -> Any:
            value, key, headers = event.value, event.key, event.headers
            return await broker.publish(value, settings.progress_topic, key=key, headers=headers, no_confirm=True)

        async def handle(values: Sequence[bytes]) -> None:
            matched = job.match(map(read, values))
            wanted = {"_id": {"$in": list(matched.appends)}}
            found = await progresses.find(wanted).to_list() if matched.appends else ()
            writes, events = job.decide(matched.appends, found, datetime.now(UTC))
            if writes:
                await progresses.bulk_write(writes, ordered=False)
            await asyncio.gather(*[await publish(event) for event in events])
            for value, reason in matched.unusable:
                await broker.publish(value, settings.dead_letters_topic, headers={"reason": reason})

        subscriber(handle)
        await FastStream(broker, logger=None).run()
