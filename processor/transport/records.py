"""aiokafka's records as ours."""

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import overload

from aiokafka import ConsumerRecord, TopicPartition

from processor.core.records import Batch, Record
from processor.transport.lenient import Unreadable

REPLAYED = "replayed-timestamp"
"""Header of a record that was replayed: the timestamp of the original, which retention would go by (F1)."""


def batch_of(fetched: Mapping[TopicPartition, list[ConsumerRecord]]) -> Batch:
    """Turn what was polled together into a `Batch`; its offsets are those after the last record of each partition."""
    several = {(it.topic, it.partition): messages for it, messages in fetched.items() if messages}
    messages = list(chain.from_iterable(several.values()))
    return Batch(
        values=[message.value for message in messages],
        records=_Records(messages),
        starts={partition: messages[0].offset for partition, messages in several.items()},
        offsets={partition: messages[-1].offset + 1 for partition, messages in several.items()},
    )


class _Records(Sequence[Record]):
    """Each is made when it is asked for: of a statement that matches nothing nobody asks."""

    def __init__(self, messages: Sequence[ConsumerRecord]) -> None:
        self._messages = messages

    def __len__(self) -> int:
        return len(self._messages)

    @overload
    def __getitem__(self, place: int) -> Record: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Record]: ...

    def __getitem__(self, place: int | slice) -> Record | Sequence[Record]:
        if isinstance(place, slice):
            return _Records(self._messages[place])
        return record_of(self._messages[place])


def record_of(message: ConsumerRecord) -> Record:
    """Turn one record; a header without a value (Kafka allows it) gets an empty one, `REPLAYED` is taken in."""
    is_unreadable = isinstance(message, Unreadable)
    return Record(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp=_timestamp(message),
        value=message.content if is_unreadable else message.value,
        key=message.key,
        headers=tuple((name, value or b"") for name, value in message.headers if name != REPLAYED),
        is_readable=not is_unreadable,
    )


def _timestamp(message: ConsumerRecord) -> int:
    times = [value or b"" for name, value in message.headers if name == REPLAYED]
    return int(times[-1]) if times and re.fullmatch(rb"-?[0-9]{1,19}", times[-1]) else message.timestamp
