"""Messages put together to batches by their partitions, as aiokafka's producer would, and without a future for each."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder


class Message(NamedTuple):
    """What is produced."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp: int | None = None


class Batch(NamedTuple):
    """Messages of one partition, by their numbers, and in their order."""

    partition: int
    builder: BatchBuilder
    numbers: list[int]


async def partitioning(client: AIOKafkaProducer, topic: str) -> Callable[[bytes | None], int]:
    """Return what tells the partition of a key, as Kafka's own clients do."""
    partitions = sorted(await client.partitions_for(topic))
    if len(partitions) == 1:
        return lambda _: partitions[0]  # to hash a key takes longer than all else
    available = sorted(client.client.cluster.available_partitions_for_topic(topic) or ())
    return partial(DefaultPartitioner(), all_partitions=partitions, available=available)


def batched(
    messages: Sequence[Message],
    numbers: Iterable[int],
    partition_of: Callable[[bytes | None], int],
    new: Callable[[], BatchBuilder],
) -> list[Batch]:
    """Put the messages that have these numbers together by their partition, as many as a batch takes."""
    batches: list[Batch] = []
    last: dict[int, Batch] = {}
    for number in numbers:
        message = messages[number]
        partition = partition_of(message.key)
        batch = last.get(partition)
        if batch is None or not _append(batch.builder, message):
            batch = last[partition] = Batch(partition, new(), [])
            batches.append(batch)
            _append(batch.builder, message)
        batch.numbers.append(number)
    return batches


def _append(builder: BatchBuilder, message: Message) -> bool:
    """Add a message; return whether there was room. There is for the first, whatever its size."""
    value = b"" if message.value is None and message.key is None else message.value
    headers = list(message.headers)
    return builder.append(timestamp=message.timestamp, key=message.key, value=value, headers=headers) is not None
