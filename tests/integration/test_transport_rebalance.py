"""Trap 5 on a real broker: rebalances against members that poll, and that have a batch in hand."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from processor.settings import Settings
from processor.transport.consumer import KafkaRecordSource, open_source
from processor.transport.producer import Message, open_producer
from processor.transport.topics import create_topics

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
    async with open_source(settings) as member:
        await until(lambda: len(member.assignment) == PARTITIONS)
        # The batch holds the rebalance up, as a slow member of another process would.
        async with member.batch(), open_source(settings) as newcomer:
            async with asyncio.timeout(settings.poll_timeout * 4):
                for _ in range(3):
                    async with newcomer.batch() as batch:
                        assert not batch.records


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
