"""Looking into topics without joining a group."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from processor.settings import Settings
from processor.transport.admin import open_admin, partitions_of
from processor.transport.careful import fetch_behind
from processor.transport.connect import connection, stop_within, translated

FETCH_MS = 500


class Span(NamedTuple):
    """The offset of the first record that a partition holds, and the one after its last."""

    begin: int
    end: int


async def spans_of(settings: Settings, topic: str) -> Mapping[TopicPartition, Span]:
    """Return what each partition holds at the moment; empty when there is no such topic."""
    partitions = await partitions_in(settings, topic)
    if not partitions:  # aiokafka 0.14 raises CancelledError when it is stopped without having done anything
        return {}
    async with _open_reader(settings) as reader:
        return await spans_for(reader, partitions)


async def read_all(settings: Settings, topic: str) -> AsyncGenerator[ConsumerRecord, None]:
    """Yield every record from the beginning to the present end, in partition order only.

    Raises `BrokerUnavailable` or `Misfit`. Close it (`contextlib.aclosing`) if you leave before its end.
    """
    partitions = await partitions_in(settings, topic)
    if not partitions:
        return
    async with _open_reader(settings) as reader:
        spans = await spans_for(reader, partitions)
        left = {partition: span.begin for partition, span in spans.items() if span.begin < span.end}
        reader.assign(sorted(left))
        for partition, begin in left.items():
            reader.seek(partition, begin)
        while left:
            fetched = await fetch_behind(reader, left, None, FETCH_MS)
            for partition, messages in fetched.items():
                for message in messages:
                    if message.offset < spans[partition].end:
                        yield message
            reached = {partition: await reader.position(partition) for partition in left}
            left = {partition: offset for partition, offset in reached.items() if offset < spans[partition].end}


async def read_one(settings: Settings, partition: TopicPartition, offset: int) -> ConsumerRecord | None:
    """Return the record that lies there, or None when it is gone. Raises `BrokerUnavailable` or `Misfit`."""
    if partition not in await partitions_in(settings, partition.topic):
        return None
    async with _open_reader(settings) as reader:
        span = (await spans_for(reader, [partition]))[partition]
        if not span.begin <= offset < span.end:
            return None
        reader.assign([partition])
        reader.seek(partition, offset)
        while await reader.position(partition) == offset:
            fetched = await fetch_behind(reader, {partition: offset}, 1, FETCH_MS)
            for message in fetched.get(partition, ()):
                return message if message.offset == offset else None
        return None


@asynccontextmanager
async def _open_reader(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    reader = AIOKafkaConsumer(**connection(settings), enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        with translated():
            await reader.start()
            yield reader
    finally:
        await stop_within(reader.stop(), "reader")


async def partitions_in(settings: Settings, topic: str) -> list[TopicPartition]:
    """Return the partitions of a topic, none when there is no such topic. Raises `BrokerUnavailable` or `Misfit`."""
    async with open_admin(settings) as admin:
        return await partitions_of(admin, topic)


async def spans_for(reader: AIOKafkaConsumer, partitions: list[TopicPartition]) -> dict[TopicPartition, Span]:
    """Return what the partitions hold for this reader: not what is in open transactions, if it reads committed ones."""
    begins = await reader.beginning_offsets(partitions)
    ends = await reader.end_offsets(partitions)
    return {partition: Span(begins[partition], ends[partition]) for partition in partitions}
