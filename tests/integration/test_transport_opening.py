"""A consumer whose broker does not answer yet: who asks where it stands is told of no partition."""

import asyncio

import pytest

from processor.settings import Settings
from processor.transport.consumer import KafkaRecordSource
from processor.transport.topics import create_topics
from tests.proxy import a_proxy

pytestmark = pytest.mark.servers


async def test_one_that_is_opening_stands_nowhere(settings: Settings) -> None:
    """As it is opened again in an outage: the lag and the liveness are looked at meanwhile."""
    await create_topics(settings)
    host, port = settings.kafka_bootstrap_servers.split(":")
    async with a_proxy(host, int(port)) as wire:
        wire.hold_at(settings.client_id.encode())
        source = KafkaRecordSource(
            settings.model_copy(update={"kafka_bootstrap_servers": f"127.0.0.1:{wire.port}"}),
        )
        opening = asyncio.create_task(source.open())
        try:
            async with asyncio.timeout(10):
                await wire.held.wait()
            assert await source.standings() == {}
            wire.release()
            await opening
            assert await source.standings() == {}
        finally:
            await source.close()
