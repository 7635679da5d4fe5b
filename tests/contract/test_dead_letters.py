"""`ports.DeadLetters`: one suite for the letters in memory and those on a real broker (I3)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Protocol

import pytest
from aiokafka.errors import KafkaError

from processor.core.letters import Place, digest
from processor.core.records import Reason, Record, Rejected
from processor.ports.stream import DeadLetters
from processor.settings import Settings
from processor.testing.broker import MemoryBroker, MemoryDeadLetters
from processor.transport.batches import Message
from processor.transport.dead_letters import KafkaDeadLetters, count_dead_letters, read_dead_letters
from processor.transport.producer import Producer, open_producer
from processor.transport.reading import read_all
from processor.transport.records import record_of
from processor.transport.topics import create_topics
from tests.contract.limits import create_with_limit


class StoppedClock:
    def now(self) -> datetime:
        return datetime(2024, 5, 6, 7, 8, 9, 120000, tzinfo=UTC)


class Rig(Protocol):
    @property
    def letters(self) -> DeadLetters: ...
    async def parked(self) -> Sequence[Record]: ...


class MemoryRig:
    def __init__(self) -> None:
        self._broker = MemoryBroker()
        self.letters = MemoryDeadLetters(self._broker, "dead")

    async def parked(self) -> Sequence[Record]:
        return self._broker.records("dead")


class KafkaRig:
    def __init__(self, settings: Settings, letters: KafkaDeadLetters) -> None:
        self._settings = settings
        self.letters = letters

    async def parked(self) -> Sequence[Record]:
        return [record_of(found) async for found in read_all(self._settings, self._settings.dead_letters_topic)]


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.servers)])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    if request.param == "memory":
        yield MemoryRig()
        return
    settings: Settings = request.getfixturevalue("settings")
    await create_topics(settings)
    async with open_producer(settings) as producer:
        yield KafkaRig(settings, KafkaDeadLetters(producer, settings.dead_letters_topic, StoppedClock()))


def a_rejected(
    value: bytes | None = b"{",
    key: bytes | None = None,
    headers: tuple[tuple[str, bytes], ...] = (),
    reason: Reason = Reason.NOT_JSON,
    item: int | None = None,
    offset: int = 12,
) -> Rejected:
    return Rejected(Record("xapi.statements", 3, offset, 1, value, key, headers), reason, "why — in words", item)


async def test_i3_a_letter_is_the_record_to_the_byte_and_why(rig: Rig) -> None:
    headers = (("organisation", b"\x00\xff"), ("twice", b"1"), ("twice", b"2"))
    await rig.letters.park([a_rejected(b"\xff\x00{not json", b"\x80key", headers, item=4)])
    (letter,) = await rig.parked()
    assert (letter.value, letter.key) == (b"\xff\x00{not json", b"\x80key")
    assert letter.headers[:3] == headers
    assert {name: value.decode() for name, value in letter.headers[3:] if name != "dead-letter-time"} == {
        "dead-letter-reason": "not-json",
        "dead-letter-message": "why — in words",
        "dead-letter-topic": "xapi.statements",
        "dead-letter-partition": "3",
        "dead-letter-offset": "12",
        "dead-letter-timestamp": "1",
        "dead-letter-item": "4",
    }


async def test_a_whole_record_has_no_item(rig: Rig) -> None:
    await rig.letters.park([a_rejected()])
    (letter,) = await rig.parked()
    assert "dead-letter-item" not in dict(letter.headers)


async def test_i3_every_letter_of_a_batch_is_parked(rig: Rig) -> None:
    await rig.letters.park([a_rejected(b"%d" % n, b"%d" % (n % 7), offset=n) for n in range(500)])
    assert {record.value for record in await rig.parked()} == {b"%d" % n for n in range(500)}


@pytest.mark.parametrize("key", [b"key", None])
async def test_i3_a_tombstone_is_parked(rig: Rig, key: bytes | None) -> None:
    await rig.letters.park([a_rejected(None, key, reason=Reason.EMPTY)])
    (letter,) = await rig.parked()
    assert not letter.value
    assert letter.key == key
    assert dict(letter.headers)["dead-letter-reason"] == b"empty"


async def test_nothing_to_park_is_parked(rig: Rig) -> None:
    await rig.letters.park([])
    assert not await rig.parked()


@pytest.mark.servers
async def test_parked_letters_are_read_and_counted(settings: Settings) -> None:
    assert await count_dead_letters(settings) == 0
    assert [letter async for letter in read_dead_letters(settings)] == []
    await create_topics(settings)
    assert await count_dead_letters(settings) == 0
    assert [letter async for letter in read_dead_letters(settings)] == []
    async with open_producer(settings) as producer:
        letters = KafkaDeadLetters(producer, settings.dead_letters_topic, StoppedClock())
        await letters.park([a_rejected(b"%d" % n, b"%d" % n, (("lrs_id", b"x"),), offset=n) for n in range(40)])
    assert await count_dead_letters(settings) == 40
    found = [letter async for letter in read_dead_letters(settings)]
    assert {letter.origin for letter in found} == {Place("xapi.statements", 3, offset) for offset in range(40)}
    assert {letter.headers for letter in found} == {(("lrs_id", b"x"),)}
    assert {letter.time for letter in found} == {StoppedClock().now()}


@pytest.mark.servers
async def test_i3_a_record_as_large_as_the_source_allows_can_be_parked(settings: Settings) -> None:
    settings = settings.model_copy(update={"kafka_max_message_bytes": 50_000, "kafka_compression": "none"})
    await create_topics(settings)
    async with open_producer(settings) as producer:
        letters = KafkaDeadLetters(producer, settings.dead_letters_topic, StoppedClock())
        await letters.park([a_rejected(b"x" * 50_000)])
    (found,) = [letter async for letter in read_dead_letters(settings)]
    assert found.value == b"x" * 50_000
    assert found.omitted is None


@pytest.mark.servers
@pytest.mark.parametrize("topic_limit", [None, 30_000])
async def test_i3_a_record_too_large_for_a_letter_leaves_one_without_it(
    settings: Settings, topic_limit: int | None
) -> None:
    """Refused by our own client, or by a broker whose topic somebody made for smaller messages."""
    limit = 50_000 if topic_limit is None else 10_000_000
    settings = settings.model_copy(update={"kafka_max_message_bytes": limit, "kafka_compression": "none"})
    if topic_limit:
        await create_with_limit(settings, settings.dead_letters_topic, topic_limit)
    await create_topics(settings)
    large = [a_rejected(b"%d" % n * 200_000, b"key", (("a", b"b"),), offset=n) for n in range(2)]
    small = [a_rejected(b"%d" % n, b"key", offset=n) for n in range(2, 20)]
    async with open_producer(settings) as producer:
        letters = KafkaDeadLetters(producer, settings.dead_letters_topic, StoppedClock())
        async with asyncio.timeout(30):
            await letters.park([*small[:9], *large, *small[9:]])
    found = [letter async for letter in read_dead_letters(settings)]
    by_offset = {letter.origin.offset: letter for letter in found if letter.origin}
    assert by_offset.keys() == set(range(20))
    for rejected in large:
        letter = by_offset[rejected.record.offset]
        assert letter.omitted == digest(rejected.record.value)
        assert (letter.value or b"", letter.key, letter.headers) == (b"", None, ())
    for rejected in small:
        letter = by_offset[rejected.record.offset]
        assert (letter.value, letter.key, letter.omitted) == (rejected.record.value, b"key", None)


@pytest.mark.servers
async def test_i3_small_letters_that_are_refused_as_one_batch_are_parked_whole(settings: Settings) -> None:
    """A broker's limit is on the batch: letters that each fit are refused beside one that does not, or together."""
    settings = settings.model_copy(update={"kafka_compression": "none"})
    await create_with_limit(settings, settings.dead_letters_topic, 20_000)
    await create_topics(settings)
    bad = [a_rejected(b"%d" % n * size, b"key", offset=n) for n, size in enumerate((100_000, 1, 15_000, 15_000))]
    async with open_producer(settings) as producer, asyncio.timeout(30):
        await KafkaDeadLetters(producer, settings.dead_letters_topic, StoppedClock()).park(bad)
    found = [letter async for letter in read_dead_letters(settings)]
    omitted = {letter.origin.offset for letter in found if letter.origin and letter.omitted}
    assert omitted == {0}
    assert {letter.origin.offset for letter in found if letter.origin} == set(range(4))


class Counted(Producer):
    """One that remembers how large what it was given together is."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.sizes: list[int] = []

    async def produce(
        self, topic: str, messages: Sequence[Message], until: float | None = None
    ) -> list[KafkaError | None]:
        self.sizes.append(sum(len(message.value or b"") for message in messages))
        return await super().produce(topic, messages, until)


@pytest.mark.servers
async def test_i3_however_much_is_bad_it_is_parked_some_at_a_time(settings: Settings) -> None:
    await create_topics(settings)
    bad = [a_rejected(b"%d" % (n % 10) * 900_000, offset=n) for n in range(40)]
    counted = Counted(settings)
    try:
        await KafkaDeadLetters(counted, settings.dead_letters_topic, StoppedClock()).park(bad)
    finally:
        await counted.close()
    assert sum(counted.sizes) == 40 * 900_000
    assert max(counted.sizes) < 20_000_000
    assert await count_dead_letters(settings) == 40
