"""Kafka in memory: no real time, every durable effect announced (see `processor.testing.faults`).

The adapters, here and in `group.py`, pass the same contract tests as those of `processor.transport` (tests/contract).
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from zlib import crc32

from bson import ObjectId

from processor.core.evidence import ProgressEvent
from processor.core.letters import explanation
from processor.core.records import Record, Rejected
from processor.errors import BrokerUnavailable
from processor.testing.faults import Faults, effect, no_faults

Header = tuple[str, bytes]


class MemoryBroker:
    """Append-only topics of `partitions` partitions each.

    Its clients announce the effects `poll`, `commit`, `park` (each letter) and `publish` (each event), to the
    faults they were made with. `BrokerUnavailable` raised there is an outage.
    """

    def __init__(self, partitions: int = 3) -> None:
        self.partitions = partitions
        self._logs: dict[tuple[str, int], list[Record]] = {}

    def append(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Iterable[Header] = (),
        partition: int | None = None,
    ) -> Record:
        """Append a record, by default to the partition of its key, and return it as it lies there."""
        if partition is None:
            partition = crc32(key or b"") % self.partitions
        log = self._logs.setdefault((topic, partition), [])
        record = Record(topic, partition, len(log), 0, value, key, tuple(headers))
        log.append(record)
        return record

    def log(self, topic: str, partition: int) -> Sequence[Record]:
        """Return what a partition holds."""
        return tuple(self._logs.get((topic, partition), ()))

    def records(self, topic: str) -> Sequence[Record]:
        """Return what a topic holds, partition by partition."""
        return tuple(record for number in range(self.partitions) for record in self.log(topic, number))


class MemoryDeadLetters:
    """`ports.DeadLetters` into a topic of the broker."""

    def __init__(self, broker: MemoryBroker, topic: str, faults: Faults = no_faults) -> None:
        self._broker = broker
        self._topic = topic
        self._faults = faults

    async def park(self, rejected: Sequence[Rejected]) -> None:
        """Append every letter; see `ports.DeadLetters.park` (I3)."""
        for entry in rejected:
            record = entry.record
            async with effect(self._faults, "park"):
                self._broker.append(self._topic, record.value, record.key, [*record.headers, *explanation(entry)])


class MemoryEventSink:
    """`ports.EventSink` into a topic of the broker, with the attributes that tell a repeat."""

    def __init__(self, broker: MemoryBroker, topic: str, faults: Faults = no_faults) -> None:
        self._broker = broker
        self._topic = topic
        self._faults = faults

    async def publish(self, outboxes: Mapping[ObjectId, Sequence[ProgressEvent]]) -> Mapping[ObjectId, int]:
        """Append in waves; see `ports.EventSink.publish` (R2)."""
        published: dict[ObjectId, int] = {}
        failed: dict[ObjectId, BrokerUnavailable] = {}
        for wave in zip_longest(*outboxes.values()):
            for event in wave:
                if event is None or event.progress in failed:
                    continue
                try:
                    async with effect(self._faults, "publish"):
                        self._broker.append(self._topic, event.data, str(event.progress).encode(), _attributes(event))
                except BrokerUnavailable as error:
                    failed[event.progress] = error
                else:
                    published[event.progress] = event.revision
        if failed and not published:
            raise next(iter(failed.values()))
        return published


def _attributes(event: ProgressEvent) -> list[Header]:
    attributes = {"ce_id": f"{event.progress}-{event.revision}", "ce_sequence": str(event.revision)}
    if event.replay:
        attributes["ce_replay"] = "true"
    return [(name, text.encode()) for name, text in attributes.items()]
