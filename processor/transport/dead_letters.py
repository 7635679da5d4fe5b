"""Dead letters: `ports.DeadLetters`, and reading them again (semantics.md, section 1)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import ConsumerRecord

from processor.core.records import Rejected
from processor.errors import BrokerUnavailable, Misfit
from processor.ports import Clock
from processor.settings import PREFIX, Settings
from processor.transport.producer import Message, Producer, is_about_the_message
from processor.transport.reading import read_all, spans_of
from processor.transport.records import record_of
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
    """Yield every letter from the beginning to the present end, without a group; none when there is no topic."""
    async for message in read_all(settings, settings.dead_letters_topic):
        yield _dead_letter(message)


async def count_dead_letters(settings: Settings) -> int:
    """Return how many letters the topic holds."""
    return sum(span.end - span.begin for span in (await spans_of(settings, settings.dead_letters_topic)).values())


def _dead_letter(message: ConsumerRecord) -> DeadLetter:
    record = record_of(message)
    why = {
        name.removeprefix(HEADER): value.decode("utf-8", "replace")
        for name, value in record.headers
        if name.startswith(HEADER)
    }
    headers = tuple((name, value) for name, value in record.headers if not name.startswith(HEADER))
    return DeadLetter(record.partition, record.offset, record.value, record.key, headers, why)
