"""`ports.EventSink`: one suite for the sink in memory and the one on a real broker (R1, R2)."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

import pytest
from aiokafka.partitioner import DefaultPartitioner
from bson import ObjectId

from processor.core.evidence import ProgressEvent
from processor.core.records import Record
from processor.errors import BrokerUnavailable
from processor.ports.stream import EventSink
from processor.settings import Settings
from processor.testing.broker import MemoryBroker, MemoryEventSink
from processor.transport.events import KafkaEventSink
from processor.transport.producer import open_producer
from processor.transport.reading import read_all
from processor.transport.records import record_of
from processor.transport.topics import create_topics
from tests.contract.limits import create_with_limit


class Event(NamedTuple):
    """What a reader of the topic sees."""

    id: str
    sequence: int
    is_replay: bool
    key: bytes | None
    data: bytes | None


class Rig(Protocol):
    @property
    def sink(self) -> EventSink: ...
    async def events(self) -> Mapping[str, Sequence[Event]]:
        """Return the events of the topic by key, in the order of its partition."""


class MemoryRig:
    def __init__(self) -> None:
        self._broker = MemoryBroker()
        self.sink = MemoryEventSink(self._broker, "progress")

    async def events(self) -> Mapping[str, Sequence[Event]]:
        return by_key(self._broker.records("progress"))


class KafkaRig:
    def __init__(self, settings: Settings, sink: KafkaEventSink) -> None:
        self._settings = settings
        self.sink = sink

    async def events(self) -> Mapping[str, Sequence[Event]]:
        return by_key([record_of(message) async for message in read_all(self._settings, self._settings.progress_topic)])


def by_key(records: Sequence[Record]) -> Mapping[str, Sequence[Event]]:
    found: dict[str, list[Event]] = {}
    for record in records:
        headers = dict(record.headers)
        event = Event(
            headers["ce_id"].decode(),
            int(headers["ce_sequence"]),
            headers.get("ce_replay") == b"true",
            record.key,
            record.value,
        )
        found.setdefault((record.key or b"").decode(), []).append(event)
    return found


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.servers)])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    if request.param == "memory":
        yield MemoryRig()
        return
    settings: Settings = request.getfixturevalue("settings")
    await create_topics(settings)
    async with open_producer(settings) as producer:
        yield KafkaRig(settings, KafkaEventSink(producer, settings.progress_topic))


def an_event(progress: ObjectId, revision: int, *, replay: bool = False) -> ProgressEvent:
    data = b'{"revision": %d, "of": "%s"}' % (revision, str(progress).encode())
    return ProgressEvent(progress, revision, datetime(2024, 5, 6, 7, 8, 9, 123000, tzinfo=UTC), data, replay)


async def test_r2_events_reach_the_topic_in_revision_order(rig: Rig) -> None:
    outboxes = {
        progress: [an_event(progress, revision) for revision in range(1, 2 + number % 5)]
        for number, progress in enumerate(ObjectId() for _ in range(30))
    }
    assert await rig.sink.publish(outboxes) == {progress: outbox[-1].revision for progress, outbox in outboxes.items()}
    events = await rig.events()
    assert {key: [event.sequence for event in found] for key, found in events.items()} == {
        str(progress): [event.revision for event in outbox] for progress, outbox in outboxes.items()
    }


async def test_r1_a_repeat_has_the_same_id_and_the_same_bytes(rig: Rig) -> None:
    progress = ObjectId()
    for _ in range(2):
        assert await rig.sink.publish({progress: [an_event(progress, 7)]}) == {progress: 7}
    first, repeat = (await rig.events())[str(progress)]
    assert first == repeat
    assert first.id == f"{progress}-7"
    assert first.key == str(progress).encode()
    assert first.data == an_event(progress, 7).data


async def test_only_events_of_a_recalculation_are_marked_as_replayed(rig: Rig) -> None:
    progress = ObjectId()
    await rig.sink.publish({progress: [an_event(progress, 1), an_event(progress, 2, replay=True)]})
    assert [event.is_replay for event in (await rig.events())[str(progress)]] == [False, True]


async def test_nothing_to_publish_is_published(rig: Rig) -> None:
    assert await rig.sink.publish({}) == {}
    assert await rig.sink.publish({ObjectId(): []}) == {}
    assert await rig.events() == {}


async def test_r2_in_memory_a_failed_event_holds_the_later_ones_back() -> None:
    failing, other = ObjectId(), ObjectId()
    published: list[str] = []

    def fault(effect: str) -> None:
        published.append(effect)
        if len(published) == 1:
            raise BrokerUnavailable("no leader")

    broker = MemoryBroker()
    outboxes = {progress: [an_event(progress, 1), an_event(progress, 2)] for progress in (failing, other)}
    assert await MemoryEventSink(broker, "progress", fault).publish(outboxes) == {other: 2}
    assert list(by_key(broker.records("progress"))) == [str(other)]


async def test_in_memory_an_outage_of_everything_is_raised() -> None:
    def fault(effect: str) -> None:
        raise BrokerUnavailable(effect)

    with pytest.raises(BrokerUnavailable):
        await MemoryEventSink(MemoryBroker(), "progress", fault).publish({(it := ObjectId()): [an_event(it, 1)]})


@pytest.mark.servers
async def test_r2_an_event_too_large_holds_only_its_own_document_back(settings: Settings) -> None:
    settings = settings.model_copy(update={"kafka_max_message_bytes": 20_000})
    await create_topics(settings)
    stuck, other = ObjectId(), ObjectId()
    large = ProgressEvent(stuck, 2, datetime(2024, 1, 1, tzinfo=UTC), b'"%s"' % (b"x" * 200_000))
    async with open_producer(settings) as producer:
        rig = KafkaRig(settings, KafkaEventSink(producer, settings.progress_topic))
        published = await rig.sink.publish(
            {
                stuck: [an_event(stuck, 1), large, an_event(stuck, 3)],
                other: [an_event(other, revision) for revision in (1, 2, 3)],
            }
        )
        assert published == {stuck: 1, other: 3}
        assert [event.sequence for event in (await rig.events())[str(stuck)]] == [1]
        # and the producer goes on
        assert await rig.sink.publish({other: [an_event(other, 4)]}) == {other: 4}


@pytest.mark.servers
async def test_r1_events_that_are_refused_together_are_published_apart(settings: Settings) -> None:
    """A broker's limit is on the batch; and one that fits nowhere holds nobody else's back."""
    settings = settings.model_copy(update={"kafka_compression": "none", "lease": 60.0})
    await create_with_limit(settings, settings.progress_topic, 30_000)
    await create_topics(settings)
    stuck = ObjectId()
    large = ProgressEvent(stuck, 1, datetime(2024, 1, 1, tzinfo=UTC), b'"%s"' % (b"x" * 40_000))
    some = {progress: [an_event(progress, 1), an_event(progress, 2)] for progress in (ObjectId() for _ in range(300))}
    async with open_producer(settings) as producer, asyncio.timeout(60):
        rig = KafkaRig(settings, KafkaEventSink(producer, settings.progress_topic))
        published = await rig.sink.publish({**some, stuck: [large, an_event(stuck, 2)]})
        assert published == dict.fromkeys(some, 2)
        events = await rig.events()
    assert {key: [event.sequence for event in it] for key, it in events.items()} == {str(it): [1, 2] for it in some}


@pytest.mark.servers
async def test_r2_an_event_too_large_to_be_sent_holds_nobody_elses_back(settings: Settings) -> None:
    settings = settings.model_copy(update={"kafka_max_message_bytes": 100_000})
    await create_topics(settings)
    ids = [ObjectId() for _ in range(9)]
    outboxes = {progress: [an_event(progress, 1)] for progress in ids}
    outboxes[ids[4]] = [ProgressEvent(ids[4], 1, datetime(2024, 1, 1, tzinfo=UTC), b'"%s"' % (b"x" * 200_000))]
    async with open_producer(settings) as producer:
        rig = KafkaRig(settings, KafkaEventSink(producer, settings.progress_topic))
        assert await rig.sink.publish(outboxes) == dict.fromkeys([*ids[:4], *ids[5:]], 1)
        assert (await rig.events()).keys() == {str(it) for it in [*ids[:4], *ids[5:]]}


@pytest.mark.servers
async def test_r2_the_events_of_a_document_have_the_partition_that_other_clients_would_choose(
    settings: Settings,
) -> None:
    settings = settings.model_copy(update={"topic_partitions": 5})
    await create_topics(settings)
    outboxes = {
        progress: [an_event(progress, 1), an_event(progress, 2)] for progress in (ObjectId() for _ in range(60))
    }
    async with open_producer(settings) as producer:
        await KafkaEventSink(producer, settings.progress_topic).publish(outboxes)
    found = [(message.key, message.partition) async for message in read_all(settings, settings.progress_topic)]
    assert len(found) == 120
    assert all(DefaultPartitioner()(key, list(range(5)), list(range(5))) == partition for key, partition in found)
    assert {partition for _, partition in found} == set(range(5))
