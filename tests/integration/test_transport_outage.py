"""Outages of the broker: told in time, waited out, and nothing sent after it was given up."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress

import pytest

from processor.core.records import Batch
from processor.embedded import ServerProcess
from processor.errors import BrokerUnavailable
from processor.settings import Settings
from processor.transport.batches import Message
from processor.transport.consumer import KafkaRecordSource, open_source
from processor.transport.producer import Producer, open_producer
from processor.transport.reading import read_all
from processor.transport.topics import check_topics, create_topics, group_lag
from tests.servers import Servers

pytestmark = [pytest.mark.servers, pytest.mark.slow]


@pytest.fixture
def broker(servers: Servers) -> ServerProcess:
    if servers.kafka_process is None:
        pytest.skip("this Kafka is not ours to stop")
    return servers.kafka_process


@pytest.fixture
async def hasty(settings: Settings) -> Settings:
    """Settings under which a delivery is given up after a second."""
    await create_topics(settings)
    return settings.model_copy(update={"lease": 2.0})


@contextmanager
def dead(broker: ServerProcess) -> Iterator[None]:
    broker.kill()
    try:
        yield
    finally:
        broker.start()


@contextmanager
def frozen(broker: ServerProcess, settings: Settings) -> Iterator[None]:
    broker.freeze()
    try:
        while _answers(settings.kafka_bootstrap_servers):
            pass
        yield
    finally:
        broker.thaw()


def _answers(address: str) -> bool:
    """Ask for the API versions and give the broker half a second."""
    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=0.5) as connection:
        connection.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
        try:
            return bool(connection.recv(4))
        except TimeoutError:
            return False


async def produced(producer: Producer, settings: Settings, value: bytes) -> None:
    """Produce as the loops do: again and again until Kafka is back."""
    async with asyncio.timeout(60):
        while True:
            try:
                assert await producer.produce(settings.statements_topic, [Message(value, b"key")]) == [None]
            except BrokerUnavailable:
                continue
            return


async def next_batch(member: KafkaRecordSource) -> tuple[Batch, bool]:
    """Take the next batch that has records; tell whether its commit was taken."""
    async with asyncio.timeout(60):
        while True:
            async with member.batch() as batch:
                if batch.records:
                    return batch, await member.commit(batch)


async def values(settings: Settings) -> list[bytes | None]:
    return [record.value async for record in read_all(settings, settings.statements_topic)]


async def test_what_a_producer_gave_up_is_not_sent_later(hasty: Settings, broker: ServerProcess) -> None:
    async with open_producer(hasty) as producer:
        await produced(producer, hasty, b"before")
        with dead(broker):
            async with asyncio.timeout(10):
                with pytest.raises(BrokerUnavailable):
                    await producer.produce(hasty.statements_topic, [Message(b"given up", b"key")])
        await produced(producer, hasty, b"after")
    found = await values(hasty)  # without "before" on the embedded broker, which forgets when it is killed
    assert b"given up" not in found
    assert found[-1] == b"after"


async def test_r2_what_comes_too_late_to_be_sent_is_not_sent(settings: Settings) -> None:
    """The lease is over, so another relay may publish it: also a connection that has room at once takes nothing."""
    await create_topics(settings)
    async with open_producer(settings) as producer:
        await produced(producer, settings, b"before")
        with pytest.raises(BrokerUnavailable, match="no time was left"):
            await producer.produce(
                settings.statements_topic, [Message(b"late", b"key")], asyncio.get_running_loop().time()
            )
        await produced(producer, settings, b"after")
    assert await values(settings) == [b"before", b"after"]


async def test_r2_what_was_cancelled_is_not_sent_later(settings: Settings, broker: ServerProcess) -> None:
    """Its events may be another relay's by then, and their next ones be out."""
    await create_topics(settings)
    async with open_producer(settings) as producer:
        await produced(producer, settings, b"before")
        with frozen(broker, settings):
            unsent: list[asyncio.Task[object]] = []
            for value in (b"in doubt", b"cancelled"):  # the first is sent, and the other waits for its answer
                unsent.append(
                    asyncio.create_task(producer.produce(settings.statements_topic, [Message(value, b"key")]))
                )
                await asyncio.sleep(0.3)
            for task in unsent:
                task.cancel()
            async with asyncio.timeout(20):
                await asyncio.wait(unsent)
            assert all(task.cancelled() for task in unsent)
        await produced(producer, settings, b"after")
    found = await values(settings)
    assert [value for value in found if value != b"in doubt"] == [b"before", b"after"]


async def test_a_frozen_broker_is_told_in_time(hasty: Settings, broker: ServerProcess) -> None:
    async with open_producer(hasty) as producer:
        await produced(producer, hasty, b"before")
        with frozen(broker, hasty):
            async with asyncio.timeout(10):
                with pytest.raises(BrokerUnavailable, match="within 1 seconds"):
                    # more than can be under way: the last are not even sent
                    await producer.produce(hasty.statements_topic, [Message(b"in doubt" * 50_000, b"key")] * 5)
        await produced(producer, hasty, b"after")
    found = await values(hasty)
    assert [value for value in found if value and not value.startswith(b"in doubt")] == [b"before", b"after"]


async def test_disconnecting_does_not_wait_for_the_end_of_an_outage(hasty: Settings, broker: ServerProcess) -> None:
    async with open_producer(hasty) as producer, open_source(hasty) as member:
        await produced(producer, hasty, b"x")
        await next_batch(member)
        with dead(broker):
            unsent = asyncio.create_task(producer.produce(hasty.statements_topic, [Message(b"y", b"key")]))
            async with asyncio.timeout(20):
                await member.close()
                await producer.close()
                with pytest.raises(BrokerUnavailable):
                    await unsent


async def test_a_dead_broker_is_unavailable_not_misfit(hasty: Settings, broker: ServerProcess) -> None:
    with dead(broker):
        with pytest.raises(BrokerUnavailable):
            await check_topics(hasty)
        with pytest.raises(BrokerUnavailable):
            async with open_producer(hasty):
                pass
        with pytest.raises(BrokerUnavailable):
            async with open_source(hasty):
                pass


async def test_i2_after_a_commit_in_an_outage_the_batch_comes_again_unless_it_was_done(
    hasty: Settings, broker: ServerProcess
) -> None:
    """Nobody knows whether such a commit was done: a broker that thaws may still find it in its socket."""
    async with open_producer(hasty) as producer, open_source(hasty) as member:
        await produced(producer, hasty, b"x")
        await _commit_while_frozen(member, broker, hasty)
        await produced(producer, hasty, b"y")
        seen: list[bytes | None] = []
        # The group may move on again, and all of it come again; that an earlier commit was lost is told at the next.
        while b"y" not in seen or await _lag_after_commits(member, hasty):
            again, _ = await next_batch(member)
            seen += [record.value for record in again.records]
    assert set(seen) in ({b"x", b"y"}, {b"y"})  # without x, its commit was done


async def _lag_after_commits(member: KafkaRecordSource, settings: Settings) -> int:
    await member._commits.settle()
    return sum((await group_lag(settings)).values())


async def _commit_while_frozen(member: KafkaRecordSource, broker: ServerProcess, settings: Settings) -> None:
    """Nobody waits for the commit. Who asks for the next batch is told that it failed, unless the group moves on."""
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        is_committed = False
        while not is_committed:
            async with member.batch() as batch:
                if batch.records:
                    stack.enter_context(frozen(broker, settings))
                    is_committed = await member.commit(batch)
        with suppress(BrokerUnavailable, TimeoutError):
            async with asyncio.timeout(settings.session_timeout + 1):
                while True:
                    async with member.batch():
                        pass
