"""Dead letters: `ports.DeadLetters`, and reading them again (semantics.md, section 1)."""

import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

from aiokafka import TopicPartition

from processor.core.letters import OMITTED, DeadLetter, Header, digest, explanation, letter_of, omission, time_header
from processor.core.records import Reason, Rejected
from processor.errors import BrokerUnavailable, Misfit
from processor.ports.stream import Clock
from processor.settings import Settings
from processor.transport.batches import Message
from processor.transport.producer import Producer, is_about_the_message
from processor.transport.reading import read_all, read_one, spans_of
from processor.transport.records import REPLAYED, record_of

PART_BYTES = 16_777_216
"""Values that are produced together, and acknowledged before the next."""


class KafkaDeadLetters:
    """Parks records in one topic."""

    def __init__(self, producer: Producer, topic: str, clock: Clock) -> None:
        self._producer = producer
        self._topic = topic
        self._clock = clock

    async def park(self, rejected: Sequence[Rejected]) -> None:
        """Return once every letter is acknowledged; see `ports.DeadLetters.park` (I3).

        Some at a time: however much is bad, it is not all held in memory, and each part has its own time.
        Raises `BrokerUnavailable`, or `Misfit` when the topic takes not even a letter without its record.
        """
        for part in _parts(rejected):
            await self._park(part)

    async def _park(self, rejected: Sequence[Rejected]) -> None:
        """Produce letters until all are there.

        A record that is too large for a letter must not block its partition: it leaves a letter without the record,
        and so do those that are no smaller. The broker refuses a whole batch, for one letter in it or for all of them
        together: so what was refused is produced one by one, the smallest first, until one is refused alone.
        """
        time = time_header(self._clock.now())
        waiting, limit, together = list(rejected), sys.maxsize, len(rejected)
        while waiting:
            letters = [letter(entry, time, limit) for entry in waiting[:together]]
            outcomes = await self._producer.produce(self._topic, letters)
            failed = [(number, failure) for number, failure in enumerate(outcomes) if failure]
            refused = [letters[number] for number, failure in failed if is_about_the_message(failure)]
            if together == 1 and any(map(_is_without_record, refused)):
                raise Misfit(f"topic {self._topic} does not take even small messages: raise its max.message.bytes")
            if failed and not refused:
                raise BrokerUnavailable(f"Kafka: {len(failed)} dead letters were not acknowledged: {failed[0][1]}")
            waiting = [waiting[number] for number, _ in failed] + waiting[together:]
            if refused and together == 1:
                limit, together = _size(refused[0]), len(waiting)
            elif refused:
                waiting.sort(key=lambda entry: _size(letter(entry, time)))
                together = 1


def _parts(rejected: Sequence[Rejected]) -> Iterator[list[Rejected]]:
    part: list[Rejected] = []
    size = 0
    for entry in rejected:
        part.append(entry)
        size += len(entry.record.value or b"")
        if size >= PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def letter(rejected: Rejected, time: Header, limit: int = sys.maxsize) -> Message:
    """Return the original value, key and headers, plus why, whence and when.

    From `limit` bytes on the record is left out, and its digest stands for it.
    """
    record = rejected.record
    why = [*explanation(rejected), time]
    whole = Message(record.value, record.key, [*record.headers, *why])
    return whole if _size(whole) < limit else Message(None, None, [*why, omission(record)])


def _size(message: Message) -> int:
    headers = sum(len(name) + len(value) for name, value in message.headers)
    return len(message.value or b"") + len(message.key or b"") + headers


def _is_without_record(message: Message) -> bool:
    return message.headers[-1][0] == OMITTED


async def read_dead_letters(settings: Settings) -> AsyncGenerator[DeadLetter, None]:
    """Yield every letter from the beginning to the present end, without a group; none when there is no topic."""
    async with aclosing(read_all(settings, settings.dead_letters_topic)) as messages:
        async for message in messages:
            yield letter_of(record_of(message))


async def read_original(settings: Settings, letter: DeadLetter) -> Message | None:
    """Return the record of a letter as it was; None when the letter left it out and it is gone.

    Its timestamp goes into a header, and the record's own is the time of the replay: else it could be too old for the
    topic's retention, and gone before it is read.
    """
    if letter.reason == Reason.UNREADABLE and not letter.omitted and not letter.value:
        return None
    if letter.omitted is None:
        return _again(letter.value, letter.key, letter.headers, letter.timestamp)
    assert letter.origin is not None
    topic, partition, offset = letter.origin
    message = await read_one(settings, TopicPartition(topic, partition), offset)
    record = record_of(message) if message else None
    if record is None or digest(record.value) != letter.omitted:
        return None
    return _again(record.value, record.key, record.headers, record.timestamp)


def _again(value: bytes | None, key: bytes | None, headers: Sequence[Header], timestamp: int | None) -> Message:
    time = [] if timestamp is None else [(REPLAYED, b"%d" % timestamp)]
    return Message(value, key, [*headers, *time])


async def count_dead_letters(settings: Settings) -> int:
    """Return how many letters the topic holds."""
    return sum(span.end - span.begin for span in (await spans_of(settings, settings.dead_letters_topic)).values())
