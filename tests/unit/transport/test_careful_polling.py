"""A poll that looks for an unreadable record asks several times: a revocation in between makes it worthless."""

import asyncio
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from processor.core.records import Record, batch_of
from processor.errors import BrokerUnavailable
from processor.settings import Settings
from processor.transport import polling
from processor.transport.consumer import KafkaRecordSource


async def test_i1_what_was_polled_on_both_sides_of_a_revocation_is_polled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its records need not be in a row: to commit the last offset could pass over what lies between."""
    source = KafkaRecordSource(
        Settings(_env_file=None, kafka_bootstrap_servers="unused:9092", mongo_url="mongodb://unused")
    )

    async def with_a_revocation(*_: Any) -> dict[TopicPartition, list[ConsumerRecord]]:
        await source.gate.on_partitions_revoked(set())
        return {
            TopicPartition("statements", 0): [ConsumerRecord("statements", 0, 12, 0, 0, None, b"{}", -1, -1, 2, ())]
        }

    monkeypatch.setattr(polling, "fetch_carefully", with_a_revocation)
    monkeypatch.setattr(source._polling, "is_careful", True)
    assigned = type("Assigned", (), {"assignment": lambda _: set()})()
    with pytest.raises(BrokerUnavailable):  # which costs the consumer: the next begins at the committed offsets
        await source._polling.of(assigned)


async def test_i1_it_does_not_poll_beside_a_batch_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """It seeks by itself, and what it has got from one partition does not go back with the batch if that fails."""
    source = KafkaRecordSource(
        Settings(_env_file=None, kafka_bootstrap_servers="unused:9092", mongo_url="mongodb://unused")
    )
    batch = batch_of([Record("statements", 0, 0, 0, b"{}")])
    monkeypatch.setattr(source, "_consumer", object())
    monkeypatch.setattr(source, "_in_hand", (source.gate.generation, batch))
    monkeypatch.setattr(source._polling, "is_careful", True)
    assert await source.more(batch, asyncio.sleep(0.01)) is None
    assert source._polling._task is None
