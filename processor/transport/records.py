"""aiokafka's records as ours."""

from collections.abc import Mapping

from aiokafka import ConsumerRecord, TopicPartition

from processor.core.records import Batch, Record
from processor.transport.careful import Unreadable


def batch_of(fetched: Mapping[TopicPartition, list[ConsumerRecord]]) -> Batch:
    """Turn what was polled together into a `Batch`; its offsets are those after the last record of each partition."""
    records = tuple(record_of(message) for messages in fetched.values() for message in messages)
    offsets = {
        (partition.topic, partition.partition): messages[-1].offset + 1
        for partition, messages in fetched.items()
        if messages
    }
    return Batch(records, offsets)


def record_of(message: ConsumerRecord) -> Record:
    """Turn one record; a header without a value (Kafka allows it) gets an empty one."""
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp=message.timestamp,
        value=message.value,
        key=message.key,
        headers=tuple((name, value or b"") for name, value in message.headers),
        is_readable=not isinstance(message, Unreadable),
    )
