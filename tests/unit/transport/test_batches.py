"""Messages are put into batches by their partition, in their order, as many as a batch takes."""

from collections.abc import Sequence
from functools import partial

import pytest
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder

from processor.transport.batches import Message, batched

SIZE = 1_000


def batches(messages: Sequence[Message], partitions: int) -> list[tuple[int, list[int]]]:
    """Return by batch the partition and the messages' numbers."""
    choose = partial(DefaultPartitioner(), all_partitions=list(range(partitions)), available=list(range(partitions)))
    found = batched(messages, range(len(messages)), choose, partial(BatchBuilder, SIZE, 0))
    assert all(batch.builder.record_count() == len(batch.numbers) for batch in found)
    return [(batch.partition, batch.numbers) for batch in found]


def a_message(number: int, size: int = 10) -> Message:
    return Message(b"x" * size, b"key %d" % (number % 7), [("a", b"b")])


@pytest.mark.parametrize("partitions", [1, 3])
def test_every_message_is_in_one_batch_of_its_partition_in_order(partitions: int) -> None:
    messages = [a_message(number) for number in range(200)]
    found = batches(messages, partitions)
    assert len(found) > 2 * partitions
    assert sorted(number for _, numbers in found for number in numbers) == list(range(200))
    for partition in range(partitions):
        in_order = [number for where, numbers in found if where == partition for number in numbers]
        assert in_order == sorted(in_order)
    where = {number: partition for partition, numbers in found for number in numbers}
    assert all(where[number] == where[number % 7] for number in range(200))  # the same key
    assert set(where.values()) == set(range(partitions))


def test_a_message_larger_than_a_batch_has_one_of_its_own() -> None:
    found = batches([a_message(0), a_message(1, 5 * SIZE), a_message(2), a_message(3)], 1)
    assert found == [(0, [0]), (0, [1]), (0, [2, 3])]


def test_a_message_without_key_and_value_is_one_with_an_empty_value() -> None:
    assert batches([Message(None), Message(None, b"key")], 1) == [(0, [0, 1])]
