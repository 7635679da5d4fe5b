"""aiokafka's records as ours."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import overload

from aiokafka import ConsumerRecord, TopicPartition

from processor.core.records import Batch, Record
from processor.transport.lenient import Unreadable
from processor.transport.runs import Message

REPLAYED = "replayed-timestamp"
"""Header of a record that was replayed: the timestamp of the original, which retention would go by (F1)."""


def batch_of(fetched: Mapping[TopicPartition, Sequence[Message]]) -> Batch:
    """Turn what was polled together into a `Batch`; its offsets are those after the last record of each partition."""
    several = {(it.topic, it.partition): messages for it, messages in fetched.items() if messages}
    return Batch(
        values=[message.value for messages in several.values() for message in messages],
        records=_Records(several),
        starts={partition: messages[0].offset for partition, messages in several.items()},
        offsets={partition: messages[-1].offset + 1 for partition, messages in several.items()},
    )


class _Records(Sequence[Record]):
    """Each is made when it is asked for: of a statement that matches nothing nobody asks."""

    def __init__(self, several: Mapping[tuple[str, int], Sequence[Message]]) -> None:
        self._several = list(several.items())
        self._ends = list(accumulate(map(len, several.values())))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, place: int) -> Record: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Record]: ...

    def __getitem__(self, place: int | slice) -> Record | Sequence[Record]:
        if isinstance(place, slice):
            return [self[it] for it in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        which = bisect_right(self._ends, place)
        (topic, partition), messages = self._several[which]
        return _record(topic, partition, messages[place - self._ends[which]])  # from the end


def record_of(message: ConsumerRecord) -> Record:
    """Turn one record; a header without a value (Kafka allows it) gets an empty one, `REPLAYED` is taken in."""
    return _record(message.topic, message.partition, message)


def _record(topic: str, partition: int, message: Message) -> Record:
    return Record(
        topic=topic,
        partition=partition,
        offset=message.offset,
        timestamp=_timestamp(message),
        value=message.content if isinstance(message, Unreadable) else message.value,
        key=message.key,
        headers=tuple((name, value or b"") for name, value in message.headers if name != REPLAYED),
        is_readable=not isinstance(message, Unreadable),
    )


def _timestamp(message: Message) -> int:
    times = [value or b"" for name, value in message.headers if name == REPLAYED]
    return int(times[-1]) if times and re.fullmatch(rb"-?[0-9]{1,19}", times[-1]) else message.timestamp
