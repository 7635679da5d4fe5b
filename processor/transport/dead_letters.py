"""Dead letters: `ports.DeadLetters`, and reading them again (semantics.md, section 1)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from processor.core.records import Rejected
from processor.errors import BrokerUnavailable, Misfit
from processor.ports import Clock
from processor.settings import PREFIX, Settings
from processor.transport.connect import connection, translated
from processor.transport.producer import Message, Producer, is_about_the_message
from schemas.ids import format_timestamp

HEADER = "dead-letter-"
MESSAGE_LENGTH = 1_000


class KafkaDeadLetters:
    """Parks records in one topic."""

    def __init__(self, producer: Producer, topic: str, clock: Clock) -> None:
        self._producer = producer
        self._topic = topic
        self._clock = clock

    async def park(self, rejected: Sequence[Rejected]) -> None:
        """Return once every letter is acknowledged; see `ports.DeadLetters.park` (I3).

        Raises `BrokerUnavailable`, or `Misfit` when the topic does not take records as large as the source does.
        """
        time = format_timestamp(self._clock.now()).encode()
        outcomes = await self._producer.produce(self._topic, [letter(entry, time) for entry in rejected])
        failures = [failure for failure in outcomes if failure]
        if any(is_about_the_message(failure) for failure in failures):
            raise Misfit(
                f"a record is too large for topic {self._topic}: raise its max.message.bytes above that of the "
                f"statements topic, and {PREFIX}KAFKA_MAX_MESSAGE_BYTES with it"
            )
        if failures:
            raise BrokerUnavailable(f"Kafka: {len(failures)} dead letters were not acknowledged: {failures[0]}")


def letter(rejected: Rejected, time: bytes) -> Message:
    """Return the original value, key and headers, plus why, whence and when."""
    record = rejected.record
    why = {
        "reason": str(rejected.reason),
        "message": rejected.message[:MESSAGE_LENGTH],
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        **({"item": str(rejected.item)} if rejected.item is not None else {}),
    }
    added = [(HEADER + name, text.encode("utf-8", "replace")) for name, text in why.items()]
    return Message(record.value, record.key, [*record.headers, *added, (HEADER + "time", time)])


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A parked record, as it lies in the dead-letter topic; `why` has the `dead-letter-…` headers without prefix."""

    partition: int
    offset: int
    value: bytes | None
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    why: Mapping[str, str]


async def read_dead_letters(settings: Settings) -> AsyncIterator[DeadLetter]:
    """Yield every letter from the beginning to the present end, partition by partition, without a group."""
    consumer = AIOKafkaConsumer(**connection(settings), enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        with translated():
            await consumer.start()
            partitions = await _partitions(consumer, settings.dead_letters_topic)
            ends = await consumer.end_offsets(partitions) if partitions else {}
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            left = {partition for partition in partitions if await consumer.position(partition) < ends[partition]}
            while left:
                for partition, messages in (await consumer.getmany(timeout_ms=1_000)).items():
                    for message in messages:
                        if message.offset < ends[partition]:
                            yield _dead_letter(message)
                left = {partition for partition in left if await consumer.position(partition) < ends[partition]}
    finally:
        await consumer.stop()


async def count_dead_letters(settings: Settings) -> int:
    """Return how many letters the topic holds."""
    consumer = AIOKafkaConsumer(**connection(settings), enable_auto_commit=False)
    try:
        with translated():
            await consumer.start()
            partitions = await _partitions(consumer, settings.dead_letters_topic)
            if not partitions:
                return 0
            begins = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
            return sum(ends[partition] - begins[partition] for partition in partitions)
    finally:
        await consumer.stop()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    if topic not in await consumer.topics():
        return []
    return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]


def _dead_letter(message: ConsumerRecord) -> DeadLetter:
    why = {name.removeprefix(HEADER): value.decode() for name, value in message.headers if name.startswith(HEADER)}
    headers = tuple((name, value) for name, value in message.headers if not name.startswith(HEADER))
    return DeadLetter(message.partition, message.offset, message.value, message.key, headers, why)
