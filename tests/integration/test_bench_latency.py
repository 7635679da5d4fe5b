"""What `bench` does when a cluster takes its first load and then fails it."""

import asyncio

import pytest

from processor.benching import Plan, _Measuring
from processor.core.sample import Sample
from processor.errors import BrokerUnavailable
from processor.metrics import Metrics
from processor.opening import open_stores
from processor.operating import create_all_topics
from processor.settings import Settings
from processor.store.connect import Database
from processor.transport.producer import open_producer


class TooLarge(Sample):
    """Statements that match, and that nobody takes for their size."""

    def statement(self, number: int) -> tuple[bytes, bytes]:
        key, value = super().statement(number)
        return key, value + b" " * 200_000


async def test_a_sending_that_fails_ends_the_measurement(settings: Settings, mongo_database: Database) -> None:
    """The events of what was not sent would be waited for for ever."""
    small = settings.model_copy(update={"kafka_max_message_bytes": 100_000})
    await create_all_topics(small)
    async with open_stores(small) as stores, open_producer(small) as producer:
        plan = Plan(100, TooLarge(match_rate=1.0))
        measuring = _Measuring(small, plan, stores, mongo_database, Metrics(), lambda *_: None)
        async with asyncio.timeout(30):
            with pytest.raises(BrokerUnavailable, match="not every statement was acknowledged"):
                await measuring.latencies(producer, rate=20)
