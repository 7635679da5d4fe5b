"""Past records that aiokafka cannot read: a header whose name is not UTF-8.

aiokafka 0.14 raises from `getmany`, again and again, and what it took from other partitions in the same call is lost
to this consumer. So the consumer is replaced, which begins at the committed offsets, and then asked for one record at
a time: nothing is lost with an error, and the position says where the unreadable record lies.
"""

from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition


class Unreadable(ConsumerRecord):  # type: ignore[misc]  # aiokafka's class is untyped
    """Stands for a record of which only its place is known."""


async def fetch_carefully(
    consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition], most: int
) -> dict[TopicPartition, list[ConsumerRecord]]:
    """Return what is at hand, at most about `most` records, spread over the partitions; never waits.

    An unreadable record comes as `Unreadable`, and the position is set after it.
    """
    spread = sorted(partitions)
    fetched: dict[TopicPartition, list[ConsumerRecord]] = {}
    for partition in spread:
        messages: list[ConsumerRecord] = []
        while len(messages) < max(most // len(spread), 1):
            try:
                found = await consumer.getmany(partition, max_records=1)
            except UnicodeDecodeError:
                offset = await consumer.position(partition)
                consumer.seek(partition, offset + 1)
                messages.append(Unreadable(*partition, offset, 0, 0, None, None, None, -1, -1, ()))
                continue
            if not found:
                break
            messages += found[partition]
        if messages:
            fetched[partition] = messages
    return fetched


def has_unreadable(fetched: dict[TopicPartition, list[ConsumerRecord]]) -> bool:
    """Tell whether one was met."""
    return any(isinstance(message, Unreadable) for messages in fetched.values() for message in messages)
