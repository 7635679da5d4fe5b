"""The statements topic, read again from its start without a group: `ports.History`.

A position is a list of `{partition, next, end}`; the ends are those of the moment when the stage began, for a reader of
what is committed. What comes behind them is the live stream's.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from processor.core.decode import Tenancy, decode
from processor.core.records import StatementRecord
from processor.core.rereading import Scope
from processor.errors import BrokerUnavailable
from processor.ports.recalculation import Reread
from processor.settings import Settings
from processor.transport.careful import fetch_behind
from processor.transport.connect import connection, stop_within, translated
from processor.transport.reading import partitions_in, spans_for
from processor.transport.records import record_of

FETCH_MS = 500

CHUNK = 2_000
"""Records of one chunk, at most: it is decoded and judged in one go, and the live stream waits meanwhile."""


@asynccontextmanager
async def open_history(settings: Settings, tenancy: Tenancy) -> AsyncIterator["KafkaHistory"]:
    """Yield a history that connects when it is first read, and disconnect at the end."""
    history = KafkaHistory(settings, tenancy)
    try:
        yield history
    finally:
        await history.close()


class KafkaHistory:
    """The records that the statements topic still holds. Statements keep no voided mark here."""

    def __init__(self, settings: Settings, tenancy: Tenancy) -> None:
        self._settings = settings
        self._tenancy = tenancy
        self._reader: AIOKafkaConsumer | None = None
        self._present: list[TopicPartition] = []
        self._reached: dict[TopicPartition, int] = {}

    async def size(self, scope: Scope) -> int:  # noqa: ARG002 - every journey has to read the whole topic
        """Count the topic's records, which both stages read."""
        return 2 * sum(place["end"] - place["next"] for place in await self._beginning())

    async def evidence(self, scope: Scope, position: Any | None) -> Reread:
        """Read on; whoever holds the statements has to be looked for."""
        return await self._read(scope, position)

    async def statements(self, scope: Scope, position: Any | None) -> Reread:
        """Read on."""
        return await self._read(scope, position)

    async def close(self) -> None:
        """Disconnect; the next read connects again."""
        reader, self._reader = self._reader, None
        if reader:
            await stop_within(reader.stop(), "history")

    async def _read(self, scope: Scope, position: Sequence[dict[str, int]] | None) -> Reread:
        try:
            places = await self._beginning() if position is None else [dict(place) for place in position]
            left = await self._within_reach(places)
            if not left:
                return Reread((), None, 0, None)
            records, looked = await self._fetch(left, scope)
        except BaseException:
            await self.close()
            raise
        is_over = all(place["next"] >= place["end"] for place in left)
        return Reread(tuple(records), None, looked, None if is_over else left)

    async def _within_reach(self, places: Sequence[dict[str, int]]) -> list[dict[str, int]]:
        """Return the places that are left, their ends where they can be reached: the topic may have been made anew."""
        left = {self._partition(place): place for place in places if place["next"] < place["end"]}
        if left:
            with translated():
                reader = await self._connected()
                if not left.keys() <= set(self._present):  # they may have been added since it was looked
                    await self._look()
                    if not self._present:
                        raise BrokerUnavailable(f"Kafka: there is no topic {self._settings.statements_topic}")
                ends = await reader.end_offsets([partition for partition in left if partition in self._present])
            for partition, place in left.items():
                place["end"] = min(place["end"], ends.get(partition, 0))
        return [place for place in left.values() if place["next"] < place["end"]]

    def _partition(self, place: Mapping[str, int]) -> TopicPartition:
        return TopicPartition(self._settings.statements_topic, place["partition"])

    async def _fetch(self, left: list[dict[str, int]], scope: Scope) -> tuple[list[StatementRecord], int]:
        """Poll once behind the places that are left, and move them on."""
        places = {self._partition(place): place for place in left}
        with translated():
            reader = await self._connected()
            if reader.assignment() != places.keys():
                reader.assign(list(places))
                self._reached = {}
            for partition, place in places.items():
                if self._reached.get(partition) != place["next"]:  # seeking throws away what was fetched ahead
                    reader.seek(partition, place["next"])
            most = min(self._settings.batch_records, CHUNK)
            positions = {partition: place["next"] for partition, place in places.items()}
            fetched = await fetch_behind(reader, positions, most, FETCH_MS)
            before = sum(place["next"] for place in left)
            for partition, place in places.items():
                self._reached[partition] = await reader.position(partition)
                place["next"] = max(place["next"], min(self._reached[partition], place["end"]))
        records = [
            decoded
            for partition, messages in fetched.items()
            for message in messages
            if message.offset < places[partition]["end"]
            for decoded in decode(record_of(message), self._tenancy)
            if isinstance(decoded, StatementRecord) and decoded.organisation == scope.rules.organisation
        ]
        return records, sum(place["next"] for place in left) - before

    async def _connected(self) -> AIOKafkaConsumer:
        if self._reader is None:
            await self._look()
            reader = AIOKafkaConsumer(
                **connection(self._settings),
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                max_partition_fetch_bytes=max(self._settings.kafka_max_message_bytes, 1_048_576),
            )
            try:
                await reader.start()
            except BaseException:
                await stop_within(reader.stop(), "history")
                raise
            self._reader = reader
        return self._reader

    async def _look(self) -> None:
        self._present = await partitions_in(self._settings, self._settings.statements_topic)

    async def _beginning(self) -> list[dict[str, int]]:
        await self._look()
        if not self._present:
            return []
        with translated():
            spans = await spans_for(await self._connected(), self._present)
        return [
            {"partition": partition.partition, "next": span.begin, "end": span.end}
            for partition, span in sorted(spans.items())
        ]
