"""Trap 5 on a real broker: rebalances against members that poll, and that have a batch in hand."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewPartitions

from processor.errors import BrokerUnavailable
from processor.settings import Settings
from processor.transport.admin import open_admin
from processor.transport.batches import Message
from processor.transport.consumer import KafkaRecordSource, open_source
from processor.transport.producer import open_producer
from processor.transport.reading import Span, spans_of
from processor.transport.starting import begin_at_the_ends
from processor.transport.topics import create_topics, delete_topics, group_lag

pytestmark = pytest.mark.servers

PARTITIONS = 4


@pytest.fixture
async def topic(settings: Settings) -> str:
    await create_topics(settings)
    return settings.statements_topic


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - a condition of the broker's making
            await asyncio.sleep(0.01)


async def poll_for_ever(member: KafkaRecordSource, seen: set[bytes | None]) -> None:
    """Take batches back to back, as ingest does, and leave them uncommitted."""
    while True:
        async with member.batch() as batch:
            await asyncio.sleep(0)
            seen.update(record.value for record in batch.records)


async def test_trap_5_rebalances_and_polling_members_do_not_deadlock(settings: Settings, topic: str) -> None:
    seen: set[bytes | None] = set()
    sent = {b"%d" % number for number in range(100)}
    async with AsyncExitStack() as stack, open_producer(settings) as producer:
        members: list[KafkaRecordSource] = []
        for number in range(3):
            members.append(await stack.enter_async_context(open_source(settings)))
            polling = asyncio.create_task(poll_for_ever(members[-1], seen))
            stack.callback(polling.cancel)
            await until(lambda: sum(len(member.assignment) for member in members) == PARTITIONS)
            await producer.produce(topic, [Message(value, value) for value in sorted(sent)[number::3]])
        await until(lambda: seen == sent)


async def test_trap_5_a_newcomer_waits_for_the_batch_in_hand_but_not_for_ever(settings: Settings, topic: str) -> None:
    async with open_producer(settings) as producer, open_source(settings) as member:
        await producer.produce(topic, [Message(b"x", b"x")])
        await until(lambda: len(member.assignment) == PARTITIONS)
        async with member.batch() as batch:
            generation = member.gate.generation
            async with open_source(settings) as newcomer:
                await until(lambda: bool(member.gate.lock._waiters))
                assert not newcomer.assignment
                assert member.gate.generation == generation
                # the deadline: half the rebalance timeout
                await until(lambda: bool(newcomer.assignment))
                assert member.gate.generation == generation + 1
                assert not await member.commit(batch)


async def test_a_long_rebalance_does_not_hold_the_loop_back(settings: Settings, topic: str) -> None:
    settings = settings.model_copy(update={"rebalance_timeout": 60.0})  # it waits for the batch for half of it
    async with open_source(settings) as member:
        await until(lambda: len(member.assignment) == PARTITIONS)
        # The batch holds the rebalance up, as a slow member of another process would.
        async with AsyncExitStack() as held:
            await held.enter_async_context(member.batch())
            async with open_source(settings) as newcomer:
                async with asyncio.timeout(15):
                    for _ in range(3):
                        async with newcomer.batch() as batch:
                            assert not batch.records
                assert not newcomer.assignment
                await held.aclose()


async def test_lag_is_what_was_not_polled_yet(settings: Settings, topic: str) -> None:
    settings = settings.model_copy(update={"batch_records": 2})
    async with open_producer(settings) as producer, open_source(settings) as member:
        await producer.produce(topic, [Message(b"%d" % number, b"one key") for number in range(5)])
        left: list[int] = []
        while not left or left[-1]:
            async with member.batch() as batch:
                if batch.records:
                    assert await member.commit(batch)
                    left.append(sum(end - position for position, end in (await member.standings()).values()))
        assert left == [3, 1, 0]


async def test_what_was_polled_beside_a_batch_and_not_taken_is_still_to_come(settings: Settings, topic: str) -> None:
    settings = settings.model_copy(update={"poll_timeout": 5.0})  # so long a poll waits for what is sent meanwhile
    async with open_producer(settings) as producer, open_source(settings) as member:
        await producer.produce(topic, [Message(b"first", b"one key")])
        batch = None
        while batch is None or not batch.records:
            async with member.batch() as batch:
                if batch.records:
                    over = asyncio.get_running_loop().create_future()
                    asking = asyncio.create_task(member.more(batch, over))
                    await asyncio.sleep(0.05)
                    over.set_result(None)
                    assert await asking is None
                    await producer.produce(topic, [Message(b"%d" % number, b"one key") for number in range(3)])
                    await until(lambda: bool(member._polling.untaken))
                    assert sum(end - position for position, end in (await member.standings()).values()) == 3
                    assert await member.commit(batch)
        async with member.batch() as batch:
            left = sum(end - position for position, end in (await member.standings()).values())
            assert 0 < len(batch.records) == 3 - left


async def test_latest_passes_over_nothing_once_the_group_has_begun(settings: Settings, topic: str) -> None:
    """Not in partitions that were idle until their member restarted, nor in those that are added."""
    settings = settings.model_copy(update={"auto_offset_reset": "latest"})
    seen: set[bytes | None] = set()
    async with open_producer(settings) as producer:
        await producer.produce(topic, [Message(b"before %d" % number, b"%d" % number) for number in range(40)])
        async with open_source(settings) as member:
            await until(lambda: len(member.assignment) == PARTITIONS)
        await producer.produce(topic, [Message(b"away %d" % number, b"%d" % number) for number in range(40)])
        async with open_admin(settings) as admin:
            await admin.create_partitions({topic: NewPartitions(PARTITIONS + 2)})
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers) as plain:
        await plain.send_and_wait(topic, b"added", partition=PARTITIONS + 1)
    async with open_source(settings) as member, AsyncExitStack() as stack:
        polling = asyncio.create_task(poll_for_ever(member, seen))
        stack.callback(polling.cancel)
        await until(lambda: len(seen) == 41)
    assert seen == {b"added", *(b"away %d" % number for number in range(40))}


async def test_who_would_begin_at_the_ends_leaves_it_to_others_when_they_have_begun(
    settings: Settings, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_producer(settings) as producer, open_source(settings) as member:
        await until(lambda: len(member.assignment) == PARTITIONS)
        with pytest.raises(BrokerUnavailable, match="none of them has committed"):
            await begin_at_the_ends(settings)

        async def spans_before_others_commit(*asked: Any) -> Mapping[TopicPartition, Span]:
            spans = await spans_of(*asked)
            await producer.produce(topic, [Message(b"x", b"x")])
            is_committed = False
            while not is_committed:
                async with member.batch() as batch:
                    is_committed = bool(batch.records) and await member.commit(batch)
            await member._commits.settle()
            return spans

        monkeypatch.setattr("processor.transport.starting.spans_of", spans_before_others_commit)
        await begin_at_the_ends(settings)
        async with member.batch():
            assert len(member.assignment) == PARTITIONS
    assert sum((await group_lag(settings)).values()) == 0


async def test_who_begins_at_the_ends_does_not_try_to_commit_for_ever(
    settings: Settings, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody supervises it yet, and aiokafka takes a partition that is gone for one that will come."""

    async def spans_before_the_topic_goes(*asked: Any) -> Mapping[TopicPartition, Span]:
        spans = await spans_of(*asked)
        await delete_topics(settings)
        return spans

    monkeypatch.setattr("processor.transport.starting.spans_of", spans_before_the_topic_goes)
    monkeypatch.setattr("processor.transport.starting.REQUEST_TIMEOUT", 0.5)
    async with asyncio.timeout(20):
        with pytest.raises(BrokerUnavailable, match="no answer in time"):
            await begin_at_the_ends(settings)


async def test_partitions_that_are_added_are_read_by_static_members_after_their_leader_restarted(
    settings: Settings, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apache Kafka does not tell a leader that came back that it is the leader; the embedded broker does."""
    monkeypatch.setattr("processor.transport.starting.METADATA_AGE", 0.5)
    first, second = (settings.model_copy(update={"group_instance_id": f"slot-{slot}"}) for slot in range(2))
    async with AsyncExitStack() as stack:

        async def started(own: Settings, lives: AsyncExitStack) -> KafkaRecordSource:
            member = await lives.enter_async_context(open_source(own))
            lives.callback(asyncio.create_task(poll_for_ever(member, set())).cancel)
            return member

        async with AsyncExitStack() as life:
            leader = await started(first, life)
            await until(lambda: len(leader.assignment) == PARTITIONS)
            other = await started(second, stack)
            await until(lambda: len(leader.assignment) == len(other.assignment) == PARTITIONS // 2)
        again = await started(first, stack)
        await until(lambda: len(again.assignment) == PARTITIONS // 2)
        async with open_admin(settings) as admin:
            await admin.create_partitions({topic: NewPartitions(PARTITIONS + 2)})
        await until(lambda: len(again.assignment | other.assignment) == PARTITIONS + 2)
