"""A poll that looks for an unreadable record asks several times: a revocation in between makes it worthless."""

from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from processor.errors import BrokerUnavailable
from processor.settings import Settings
from processor.transport import consumer
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

    monkeypatch.setattr(consumer, "fetch_carefully", with_a_revocation)
    monkeypatch.setattr(source, "_consumer", type("Assigned", (), {"assignment": lambda _: set()})())
    monkeypatch.setattr(source, "_is_careful", True)
    with pytest.raises(BrokerUnavailable):  # which costs the consumer: the next begins at the committed offsets
        await source._fetch()
