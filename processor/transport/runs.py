"""Records of a fetch in runs, not one by one: half of what it costs to be given a record (DECISIONS 117).

aiokafka 0.14 passes each record through two iterators and makes a dataclass of it, with its topic and partition. Here
its own generator walks over runs as if each was a record, so it still judges checksums, transactions and control
batches, and its own account of positions stays what it was; what it read is given as it is. A run is as long as what
is asked for: nothing is read ahead. I1: the position is behind exactly what was given, so nothing is passed over.

What is put into its objects refers to them weakly: in a cycle, the megabyte of a fetch would wait for the collector.
"""

from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple, Protocol
from weakref import proxy

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import FetchResult, PartitionRecords


class Message(Protocol):
    """What aiokafka has read of a record; `ConsumerRecord` is one, too."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Any


def give_runs(consumer: AIOKafkaConsumer) -> None:
    """Let `getmany` of a consumer, started and not subscribed yet, return what `Message` has, and no more.

    `getone` and iteration are not for such a consumer, nor are deserializers.
    """
    fetcher = consumer._fetcher  # noqa: SLF001
    fetcher._records = _Fetched(fetcher._records)  # noqa: SLF001


class _Fetched(OrderedDict[TopicPartition, Any]):
    """What a fetcher has fetched and not given yet, by partition; errors among it."""

    def __setitem__(self, partition: TopicPartition, result: Any) -> None:
        if isinstance(result, FetchResult):
            result._partition_records = _Runs(result._partition_records)  # noqa: SLF001
            result.getall = partial(_getall, proxy(result))
        super().__setitem__(partition, result)


def _getall(result: Any, max_records: int | None = None) -> list[Message]:
    """Do what `FetchResult.getall` does; after an error, what was read before it is kept, and given next."""
    if not result.check_assignment(result._topic_partition) or not result.has_more():  # noqa: SLF001
        return []
    runs = result._partition_records  # noqa: SLF001
    taken: list[Message] = runs.take(max_records)
    result._update_position()  # noqa: SLF001
    if runs.is_over:
        result._partition_records = None  # noqa: SLF001
    return taken


class _Runs:
    """Stands where aiokafka has the records of a partition; `next_fetch_offset` is the one after the last taken."""

    def __init__(self, records: PartitionRecords) -> None:
        self._wanted = _Wanted()
        # Its generator has not begun, and asks for both when it does.
        records._records = _Batches(records._records, self._wanted)  # noqa: SLF001
        records._consumer_record = partial(_beginning_at, proxy(records))  # noqa: SLF001
        self._records = records
        self._read: list[Message] = []
        self.next_fetch_offset: int = records.next_fetch_offset
        self.is_over = False

    def take(self, most: int | None) -> list[Message]:
        """Return the next records, at most that many. Raises what aiokafka raises; nothing is passed over then."""
        while most is None or len(self._read) < most:
            self._wanted.most = None if most is None else most - len(self._read)
            run = next(self._records, None)
            if run is None:
                self.is_over = True
                break
            self._read += run
        end = len(self._read) if most is None else most  # an error may have left more than is asked for now
        taken, self._read = self._read[:end], self._read[end:]
        self.next_fetch_offset = self._records.next_fetch_offset if self.is_over else taken[-1].offset + 1
        return taken


def _beginning_at(records: PartitionRecords, _: TopicPartition, run: "_Run") -> list[Message]:
    """Return the records of a run from the position on: a fetch begins with the whole batch in which that lies."""
    begin = records.next_fetch_offset
    return run.records if run.records[0].offset >= begin else [it for it in run.records if it.offset >= begin]


class _Run(NamedTuple):
    """Records in a row; `offset` is the last one's, by which aiokafka tells what to skip, and where it stands then."""

    offset: int
    records: list[Message]


class _Wanted:
    """How long the next run may be; any length, if that is None."""

    most: int | None = None


class _Batch:
    """A producer's batch, whose records are its runs."""

    def __init__(self, batch: Any, wanted: _Wanted) -> None:
        self._batch = batch
        self._wanted = wanted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[_Run]:
        records = chain(self._batch)  # which neither begins again nor reads on past its end, as the batch would
        while run := list(islice(records, self._wanted.most)):
            yield _Run(run[-1].offset, run)

    def __next__(self) -> Any:
        """Return a control batch's record."""
        return next(self._batch)


class _Batches:
    """The batches of a fetch."""

    def __init__(self, batches: Any, wanted: _Wanted) -> None:
        self._batches = batches
        self._wanted = wanted
        self.has_next = batches.has_next

    def next_batch(self) -> _Batch:
        """Return the next one."""
        return _Batch(self._batches.next_batch(), self._wanted)
