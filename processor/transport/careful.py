"""Past records that aiokafka cannot read: a header whose name is not UTF-8.

aiokafka 0.14 raises from `getmany`, again and again, and what it took from other partitions in the same call is lost
to this consumer: nothing is lost where one partition is asked, or where it is known where all of them stood.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka

from processor.transport.lenient import Unreadable, read_batch

Fetched = dict[TopicPartition, list[Any]]
"""`Message`s of a member's consumer, aiokafka's own records of any other."""


async def fetch_carefully(consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition], most: int) -> Fetched:
    """Return what is at hand, at most about `most` records, spread over the partitions; never waits for more.

    An unreadable record comes as `Unreadable`. Ends early when a partition goes meanwhile.
    """
    spread = sorted(partitions)
    fetched: Fetched = {}
    with suppress(kafka.IllegalStateError):
        for partition in spread:
            if messages := await _fetch_from(consumer, partition, max(most // len(spread), 1), 0):
                fetched[partition] = messages
    return fetched


async def fetch_behind(
    reader: AIOKafkaConsumer, positions: Mapping[TopicPartition, int], most: int | None, timeout_ms: int
) -> Fetched:
    """Poll a reader without a group, which stands at these positions, for at most about `most` records.

    An unreadable record comes as `Unreadable`.
    """
    try:
        fetched: Fetched = await reader.getmany(*positions, timeout_ms=timeout_ms, max_records=most)
    except UnicodeDecodeError:
        for partition, offset in positions.items():
            reader.seek(partition, offset)
        share = most and max(most // len(positions), 1)
        fetched = {}
        for partition in positions:  # those that have nothing are waited for only until one has something
            wait = 0 if any(fetched.values()) else timeout_ms
            fetched[partition] = await _fetch_from(reader, partition, share, wait)
    return fetched


async def _fetch_from(
    consumer: AIOKafkaConsumer, partition: TopicPartition, most: int | None, timeout_ms: int
) -> list[Any]:
    try:
        fetched: Fetched = await consumer.getmany(partition, timeout_ms=timeout_ms, max_records=most)
    except UnicodeDecodeError:  # which has not moved the position
        return await read_batch(consumer, partition)
    return fetched.get(partition, [])


def has_unreadable(fetched: Fetched) -> bool:
    """Tell whether one was met."""
    return any(isinstance(message, Unreadable) for messages in fetched.values() for message in messages)
