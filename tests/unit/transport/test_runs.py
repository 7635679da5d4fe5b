"""Records that come in runs are those that aiokafka gives one by one, and leave the position where it leaves it."""

import gc
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka import errors as kafka
from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from processor.transport.runs import Message, _Fetched

PARTITION = TopicPartition("statements", 3)
ABORT, COMMIT = b"\x00\x00\x00\x00", b"\x00\x00\x00\x01"
LZ4 = 3


@dataclass
class Assignment:
    """A partition that is assigned, and its position."""

    position: int
    active: bool = True
    paused: bool = False

    def state_value(self, _: TopicPartition) -> "Assignment":
        return self

    def consumed_to(self, position: int) -> None:
        self.position = position


@dataclass
class Fetch:
    """What a broker has sent for a position."""

    batches: bytes
    position: int
    aborted: Sequence[tuple[int, int]] = ()

    def result(self, assignment: Assignment) -> FetchResult:
        records = PartitionRecords(
            PARTITION, MemoryRecords(self.batches), list(self.aborted), self.position, None, None, True, READ_COMMITTED
        )
        return FetchResult(PARTITION, assignment=assignment, partition_records=records, backoff=0)


def a_batch(offsets: Sequence[int], producer: int = -1, control: bytes | None = None, codec: int = 0) -> bytes:
    """Return a producer's batch with records at these offsets; a control batch has one, with this key."""
    builder = DefaultRecordBatchBuilder(2, codec, int(producer >= 0), producer, 0, 0, 10_000_000)
    for offset in offsets:
        headers = [("name", b"%d" % offset)] if offset % 2 else []
        value = None if offset % 7 == 0 else b'{"at": %d}' % offset
        assert builder.append(offset - offsets[0], 1_000 + offset, control or b"key", value, headers)
    batch = builder.build()
    batch[0:8] = offsets[0].to_bytes(8, "big")
    if control:
        batch[22] |= 0b10_0000
        batch[17:21] = calc_crc32c(batch[21:]).to_bytes(4, "big")
    return bytes(batch)


def told(messages: Iterable[Message]) -> list[Any]:
    return [(it.offset, it.timestamp, it.key, it.value, list(it.headers)) for it in messages]


def taken(fetch: Fetch, mosts: Iterable[int | None], *, in_runs: bool) -> list[Any]:
    """Return what each call gives, and how things stand after it; what one raises is the last."""
    assignment = Assignment(fetch.position)
    fetched: dict[TopicPartition, Any] = _Fetched() if in_runs else {}
    fetched[PARTITION] = fetch.result(assignment)
    result = fetched[PARTITION]
    found: list[Any] = []
    for most in mosts:
        try:
            found.append(told(result.getall(most)))
        except kafka.CorruptRecordException as error:
            return [*found, type(error)]
        found.append((assignment.position, result.has_more()))
        if not result.has_more():
            break
    return found


@st.composite
def fetches(draw: st.DrawFn) -> Fetch:
    """Batches with gaps, transactions, control batches and a position that need not be at the beginning."""
    batches: list[bytes] = []
    aborted: list[tuple[int, int]] = []
    offset = draw(st.integers(0, 50))
    position = offset
    for _ in range(draw(st.integers(1, 5))):
        producer = draw(st.sampled_from([-1, -1, 5]))
        steps = draw(st.lists(st.integers(1, 3), min_size=1, max_size=12))
        offsets = [offset]
        offsets += [offset := offset + step for step in steps]
        batches.append(a_batch(offsets, producer, codec=draw(st.sampled_from([0, LZ4]))))
        offset += 1
        if producer >= 0:
            is_aborted = draw(st.booleans())
            if is_aborted:
                aborted.append((producer, offsets[0]))
            batches.append(a_batch([offset], producer, ABORT if is_aborted else COMMIT))
            offset += 1
    return Fetch(b"".join(batches), draw(st.integers(position, offset)), aborted)


@given(fetches(), st.lists(st.integers(1, 9), max_size=30))
def test_i1_they_are_the_same_and_the_position_is(fetch: Fetch, mosts: list[int]) -> None:
    by_one = taken(fetch, [*mosts, None], in_runs=False)
    assert taken(fetch, [*mosts, None], in_runs=True) == by_one


@pytest.mark.parametrize("size", [1, 99, 100, 101, 200, 207])
@pytest.mark.parametrize("most", [None, 1, 100, 300])
def test_a_batch_may_be_longer_than_what_is_asked_for_and_end_with_it(size: int, most: int | None) -> None:
    fetch = Fetch(a_batch(range(size)) + a_batch(range(size, 2 * size), codec=LZ4), 0)
    calls = [most] * (2 * size + 1)
    assert taken(fetch, calls, in_runs=True) == taken(fetch, calls, in_runs=False)


def test_nothing_is_read_ahead() -> None:
    fetched = _Fetched()
    fetched[PARTITION] = Fetch(a_batch(range(3)) + a_batch(range(3, 9)), 0).result(Assignment(0))
    assert [it.offset for it in fetched[PARTITION].getall(4)] == [0, 1, 2, 3]
    assert fetched[PARTITION]._partition_records._read == []


def test_formats_before_headers_are_read_too() -> None:
    builder = LegacyRecordBatchBuilder(1, 1, 10_000)
    for offset in range(5):
        builder.append(offset, 1_000 + offset, b"key", b"{}")
    fetch = Fetch(bytes(builder.build()), 2)
    assert taken(fetch, [2, None], in_runs=True) == taken(fetch, [2, None], in_runs=False)


def test_i1_a_batch_that_was_damaged_on_its_way_is_refused_and_not_passed_over() -> None:
    damaged = bytearray(a_batch(range(5, 10)))
    damaged[-3] ^= 1
    fetch = Fetch(a_batch(range(5)) + bytes(damaged), 0)
    found = taken(fetch, [2, 2, 2], in_runs=True)
    assert found[-1] is kafka.CorruptRecordException
    assert found[-2] == (4, True)


def test_i1_what_was_read_before_an_error_is_not_lost() -> None:
    damaged = bytearray(a_batch(range(5, 10)))
    damaged[-3] ^= 1
    assignment = Assignment(0)
    fetched = _Fetched()
    fetched[PARTITION] = Fetch(a_batch(range(5)) + bytes(damaged), 0).result(assignment)
    with pytest.raises(kafka.CorruptRecordException):
        fetched[PARTITION].getall(8)
    assert assignment.position == 0
    assert [it.offset for it in fetched[PARTITION].getall(2)] == [0, 1]
    assert assignment.position == 2
    assert [it.offset for it in fetched[PARTITION].getall(8)] == [2, 3, 4]
    assert assignment.position == 5


def test_what_was_fetched_for_another_position_is_not_given() -> None:
    assignment = Assignment(0)
    fetched = _Fetched()
    fetched[PARTITION] = Fetch(a_batch(range(5)), 0).result(assignment)
    assert len(fetched[PARTITION].getall(2)) == 2
    assignment.position = 0  # a seek
    assert fetched[PARTITION].getall(2) == []
    assert not fetched[PARTITION].has_more()


def test_what_was_read_to_its_end_leaves_memory_without_the_collector() -> None:
    """It has a megabyte of records as they were sent, and the collector comes rarely."""
    fetched = _Fetched()
    fetched[PARTITION] = Fetch(a_batch(range(5)), 0).result(Assignment(0))
    result = fetched[PARTITION]
    left = weakref.ref(result), weakref.ref(result._partition_records._records)
    gc.disable()
    try:
        assert len(result.getall(9)) == 5
        del fetched[PARTITION], result
        assert [it() for it in left] == [None, None]
    finally:
        gc.enable()


def test_an_error_of_a_fetch_is_kept_as_it_is() -> None:
    fetched, error = _Fetched(), object()
    fetched[PARTITION] = error
    assert fetched[PARTITION] is error
