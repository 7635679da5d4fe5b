"""Asking and telling Kafka about topics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from processor.errors import BrokerUnavailable
from processor.settings import Settings
from processor.transport.connect import connection, stop_within, translated
from processor.transport.diagnosis import check_reachable


@asynccontextmanager
async def open_admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect an admin client; errors within its context are translated. Raises `BrokerUnavailable` or `Misfit`."""
    admin = AIOKafkaAdminClient(**connection(settings))
    try:
        try:
            with translated():
                await admin.start()
        except BrokerUnavailable:
            await check_reachable(settings)
            raise
        with translated():
            yield admin
    finally:
        await stop_within(admin.close(), "admin")


async def partitions_of(admin: AIOKafkaAdminClient, topic: str) -> list[TopicPartition]:
    """Return the partitions of a topic, none when there is no such topic.

    Asks for all topics: asking for one by name creates it on brokers that create topics by themselves.
    """
    return [
        TopicPartition(topic, partition["partition"])
        for found in await admin.describe_topics()
        if found["topic"] == topic
        for partition in sorted(found["partitions"], key=lambda partition: int(partition["partition"]))
    ]
