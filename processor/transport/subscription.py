"""Reading progress-updated events, as a downstream service would; the demo does."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer

from processor.settings import Settings
from processor.transport.connect import connection, stop_within, translated


@asynccontextmanager
async def subscription(settings: Settings) -> AsyncIterator[AsyncIterator[Mapping[str, Any]]]:
    """Yield the events of the progress topic from its beginning, as they come: `{id, subject, sequence, data}`."""
    consumer = AIOKafkaConsumer(settings.progress_topic, **connection(settings), auto_offset_reset="earliest")
    try:
        with translated():
            await consumer.start()
            yield _events(consumer)
    finally:
        await stop_within(consumer.stop(), "subscription")


async def _events(consumer: AIOKafkaConsumer) -> AsyncIterator[Mapping[str, Any]]:
    async for record in consumer:
        headers = {name: value.decode() for name, value in record.headers}
        yield {
            "id": headers["ce_id"],
            "subject": headers["ce_subject"],
            "sequence": int(headers["ce_sequence"]),
            "data": orjson.loads(record.value),
        }
