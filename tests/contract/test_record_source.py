"""`ports.RecordSource`: one suite for the group in memory and the one on a real broker (I1, I2, trap 5)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Protocol

import pytest

from processor.core.records import Batch
from processor.ports.stream import RecordSource
from processor.settings import Settings
from processor.testing.broker import MemoryBroker
from processor.testing.group import MemoryGroup, MemoryRecordSource
from processor.transport.admin import open_admin
from processor.transport.batches import Message
from processor.transport.consumer import KafkaRecordSource, open_source
from processor.transport.producer import Producer, open_producer
from processor.transport.topics import create_topics
from tests.servers import Servers

PARTITIONS = 4
MOST = 3
"""Records in a batch."""


class Member(RecordSource, Protocol):
    @property
    def assignment(self) -> frozenset[tuple[str, int]]: ...


class Rig(Protocol):
    """A topic and a group of its own.

    `takes_late_commits`: Kafka takes commits of the old generation until all members have joined again. The embedded
    broker (noida-db 0.2.3) refuses them and never ends the rebalance afterwards.
    """

    takes_late_commits: bool

    async def publish(self, *messages: Message) -> None: ...
    def member(self) -> AbstractAsyncContextManager[Member]: ...
    async def committed(self) -> Mapping[int, int]: ...
    async def settle(self, member: Member) -> None: ...

    def is_awaited(self, member: Member) -> bool:
        """Tell whether a rebalance waits for the batch that this member has in hand."""

    async def lose(self, member: Member) -> None:
        """Let the group take a member's partitions while it has a batch in hand, and give them to it again."""


class MemoryRig:
    takes_late_commits = True

    def __init__(self) -> None:
        self._broker = MemoryBroker(PARTITIONS)
        self._group = MemoryGroup(self._broker, "statements", most=MOST)

    async def publish(self, *messages: Message) -> None:
        for message in messages:
            self._broker.append("statements", message.value, message.key, message.headers)

    @asynccontextmanager
    async def member(self) -> AsyncIterator[MemoryRecordSource]:
        member = await self._group.join()
        yield member
        await self._group.leave(member)

    async def committed(self) -> Mapping[int, int]:
        return self._group.committed

    async def settle(self, member: Member) -> None:
        assert isinstance(member, MemoryRecordSource)

    def is_awaited(self, member: Member) -> bool:
        assert isinstance(member, MemoryRecordSource)
        return bool(member.gate._waiters)

    async def lose(self, member: Member) -> None:
        assert isinstance(member, MemoryRecordSource)
        self._group.redeliver(member)


class KafkaRig:
    def __init__(self, settings: Settings, producer: Producer, takes_late_commits: bool) -> None:
        self.takes_late_commits = takes_late_commits
        self._settings = settings
        self._producer = producer

    async def publish(self, *messages: Message) -> None:
        assert not any(await self._producer.produce(self._settings.statements_topic, messages))

    @asynccontextmanager
    async def member(self) -> AsyncIterator[KafkaRecordSource]:
        async with open_source(self._settings) as member:
            await until(lambda: bool(member.assignment))
            yield member

    async def committed(self) -> Mapping[int, int]:
        async with open_admin(self._settings) as admin:
            offsets = await admin.list_consumer_group_offsets(self._settings.consumer_group)
        return {partition.partition: known.offset for partition, known in offsets.items()}

    async def settle(self, member: Member) -> None:
        assert isinstance(member, KafkaRecordSource)
        await member._commits.settle()

    def is_awaited(self, member: Member) -> bool:
        assert isinstance(member, KafkaRecordSource)
        return bool(member.gate.lock._waiters)

    async def lose(self, member: Member) -> None:
        assert isinstance(member, KafkaRecordSource)
        member.gate._deadline = 0
        generation = member.gate.generation
        async with self.member():
            await until(lambda: member.gate.generation > generation)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.servers)])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    if request.param == "memory":
        yield MemoryRig()
        return
    servers: Servers = request.getfixturevalue("servers")
    settings: Settings = request.getfixturevalue("settings")
    settings = settings.model_copy(update={"batch_records": MOST, "topic_partitions": PARTITIONS})
    await create_topics(settings)
    async with open_producer(settings) as producer:
        yield KafkaRig(settings, producer, takes_late_commits=servers.kind != "embedded")


async def until(condition: Callable[[], bool] | Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while True:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def taken(member: RecordSource) -> AsyncIterator[Batch]:
    """The next batch that has records."""
    async with asyncio.timeout(30):
        while True:
            async with member.batch() as batch:
                if batch.records:
                    yield batch
                    return


async def committed_by(records: int, *members: RecordSource) -> list[tuple[int, int]]:
    """Take and commit that many records in turn; return which."""
    places: list[tuple[int, int]] = []
    async with asyncio.timeout(30):
        while len(places) < records:
            for member in members:
                async with member.batch() as batch:
                    places += places_of(batch)
                    assert await member.commit(batch)
    assert len(set(places)) == records
    return sorted(places)


def places_of(batch: Batch) -> list[tuple[int, int]]:
    return [(record.partition, record.offset) for record in batch.records]


async def in_order_of(records: int, member: RecordSource) -> dict[int, list[int]]:
    """Take and commit that many records; return the offsets of each partition as they came."""
    came: dict[int, list[int]] = {}
    async with asyncio.timeout(30):
        while sum(map(len, came.values())) < records:
            async with member.batch() as batch:
                for partition, offset in places_of(batch):
                    came.setdefault(partition, []).append(offset)
                assert await member.commit(batch)
    assert all(len(set(offsets)) == len(offsets) for offsets in came.values())
    return came


def forever() -> "asyncio.Future[None]":
    return asyncio.get_running_loop().create_future()


async def ask_in_vain(member: RecordSource, batch: Batch) -> None:
    """Ask for more, and give up a moment later: what was begun to be polled goes on."""
    done = forever()
    asking = asyncio.create_task(member.more(batch, done))
    await asyncio.sleep(0.05)
    done.set_result(None)
    assert await soon(asking) is None


async def soon(asked: Awaitable[Batch | None]) -> Batch | None:
    async with asyncio.timeout(30):
        return await asked


def keyed(number: int, key: bytes = b"one learner") -> Message:
    return Message(b"value %d" % number, key)


async def test_i1_nothing_is_committed_without_commit(rig: Rig) -> None:
    await rig.publish(keyed(0))
    async with rig.member() as member, taken(member):
        assert not await rig.committed()
    assert not await rig.committed()


async def test_i1_commit_covers_exactly_the_batch(rig: Rig) -> None:
    await rig.publish(*map(keyed, range(MOST + 1)))
    async with rig.member() as member:
        async with taken(member) as first:
            assert [record.offset for record in first.records] == [0, 1, 2]
            assert await member.commit(first)
        await rig.settle(member)
        partition = first.records[0].partition
        assert await rig.committed() == {partition: MOST}
        async with taken(member) as second:
            assert [record.value for record in second.records] == [b"value 3"]


async def test_i2_a_batch_left_without_commit_comes_again(rig: Rig) -> None:
    await rig.publish(*map(keyed, range(MOST + 2)))
    async with rig.member() as member:
        async with taken(member) as left:
            pass
        with pytest.raises(RuntimeError, match="store is down"):
            async with taken(member) as failed:
                raise RuntimeError("store is down")
        assert list(left.records) == list(failed.records)
        assert await committed_by(MOST + 2, member) == [(left.records[0].partition, n) for n in range(MOST + 2)]


async def test_a_new_member_goes_on_where_the_group_is(rig: Rig) -> None:
    await rig.publish(*map(keyed, range(MOST + 2)))
    async with rig.member() as member:
        await committed_by(MOST, member)
        async with taken(member):
            pass  # and dies before the commit
    async with rig.member() as successor, taken(successor) as batch:
        assert [record.offset for record in batch.records] == [MOST, MOST + 1]


async def test_records_arrive_as_they_were_sent(rig: Rig) -> None:
    await rig.publish(Message(b"\xff{not json", b"key", [("organisation", b"\x00\xff"), ("organisation", b"twice")]))
    async with rig.member() as member, taken(member) as batch:
        (record,) = batch.records
        assert (record.value, record.key) == (b"\xff{not json", b"key")
        assert record.headers == (("organisation", b"\x00\xff"), ("organisation", b"twice"))
        assert batch.offsets == {(record.topic, record.partition): 1}


async def test_i3_a_tombstone_is_a_record_like_any_other(rig: Rig) -> None:
    await rig.publish(Message(None, b"key"), Message(b"next", b"key"))
    async with rig.member() as member, taken(member) as batch:
        assert [record.value for record in batch.records] == [None, b"next"]


async def test_an_empty_poll_gives_an_empty_batch(rig: Rig) -> None:
    async with rig.member() as member, member.batch() as batch:
        assert (list(batch.records), batch.offsets) == ([], {})
        assert await member.commit(batch)
        await rig.settle(member)
    assert not await rig.committed()


async def test_a_batch_is_committed_only_in_its_context(rig: Rig) -> None:
    await rig.publish(keyed(0))
    async with rig.member() as member:
        async with taken(member) as batch:
            pass
        assert not await member.commit(batch)
    assert not await rig.committed()


async def test_two_members_share_the_partitions(rig: Rig) -> None:
    async with rig.member() as one, rig.member() as other:
        await until(lambda: len(one.assignment) == len(other.assignment) == PARTITIONS // 2)
        assert not one.assignment & other.assignment


async def test_trap_5_a_revocation_waits_for_the_batch_in_hand(rig: Rig) -> None:
    await rig.publish(*(keyed(n, b"learner %d" % n) for n in range(20)))
    async with rig.member() as one:
        async with taken(one) as batch:
            joining = asyncio.ensure_future((newcomer := rig.member()).__aenter__())
            await until(lambda: rig.is_awaited(one))
            if rig.takes_late_commits:
                assert await one.commit(batch)
        other = await joining
        await until(lambda: len(one.assignment) == len(other.assignment) == PARTITIONS // 2)
        done = places_of(batch) if rig.takes_late_commits else []
        rest = await committed_by(20 - len(done), one, other)
        assert not set(rest) & set(done)
        await newcomer.__aexit__(None, None, None)


async def test_i1_a_batch_that_goes_on_covers_what_came_before_it(rig: Rig) -> None:
    await rig.publish(*map(keyed, range(MOST + 1)))
    async with rig.member() as member:
        async with taken(member) as batch:
            more = await soon(member.more(batch, forever()))
            assert more is not None
            assert [record.value for record in more.records] == [b"value 3"]
            assert not await member.commit(batch)
            assert await member.commit(more)
        await rig.settle(member)
        assert await rig.committed() == {batch.records[0].partition: MOST + 1}
        assert more.span == f"{batch.records[0].topic}-{batch.records[0].partition}[0..{MOST}]"


async def test_i2_all_of_it_comes_again_if_it_was_left_without_a_commit(rig: Rig) -> None:
    await rig.publish(*map(keyed, range(MOST)))
    async with rig.member() as member:
        async with taken(member) as batch:
            await rig.publish(*(keyed(number, b"learner %d" % number) for number in range(20)))
            grown = batch
            while len(grown.offsets) < PARTITIONS:
                more = await soon(member.more(grown, forever()))
                assert more is not None
                grown = more
        rest = await committed_by(MOST + 20, member)
    assert {partition for partition, _ in rest} == set(range(PARTITIONS))


async def test_i2_so_does_what_was_polled_and_not_taken(rig: Rig) -> None:
    """A poll that was begun for more, and that has got something after that was not waited for any more."""
    await rig.publish(*map(keyed, range(MOST)))
    async with rig.member() as member:
        async with taken(member) as batch:
            await ask_in_vain(member, batch)
            await rig.publish(*map(keyed, range(MOST, 2 * MOST)))
            await asyncio.sleep(0.5)
        [in_order] = (await in_order_of(2 * MOST, member)).values()
    assert in_order == list(range(2 * MOST))


async def test_what_was_polled_and_not_taken_is_the_next_batch(rig: Rig) -> None:
    await rig.publish(*map(keyed, range(MOST)))
    async with rig.member() as member:
        async with taken(member) as batch:
            await ask_in_vain(member, batch)
            await rig.publish(*(keyed(number, b"learner %d" % number) for number in range(20)))
            await asyncio.sleep(0.5)
            assert await member.commit(batch)
        in_order = await in_order_of(20, member)
    assert all(offsets == sorted(offsets) for offsets in in_order.values())


async def test_trap_5_no_more_comes_while_a_rebalance_waits(rig: Rig) -> None:
    await rig.publish(keyed(0))
    async with rig.member() as one, AsyncExitStack() as stack:
        async with taken(one) as batch:
            joining = asyncio.ensure_future((newcomer := rig.member()).__aenter__())
            await until(lambda: rig.is_awaited(one))
            await rig.publish(keyed(1))
            done = forever()
            asking = asyncio.create_task(one.more(batch, done))
            await asyncio.sleep(0.5)
            assert not asking.done()
            done.set_result(None)
            assert await soon(asking) is None
            if rig.takes_late_commits:
                assert await one.commit(batch)
        stack.push_async_exit(newcomer.__aexit__)
        other = await joining
        await committed_by(1 if rig.takes_late_commits else 2, one, other)


async def test_i1_no_more_comes_of_another_assignment_and_nothing_of_it_is_passed_over(rig: Rig) -> None:
    """A poll goes on when the partitions are lost, and gets what the next assignment brings."""
    await rig.publish(*map(keyed, range(MOST)))
    async with rig.member() as member:
        async with taken(member) as batch:
            done = forever()
            asking = asyncio.create_task(member.more(batch, done))
            await asyncio.sleep(0.05)
            await rig.lose(member)
            await until(lambda: len(member.assignment) == PARTITIONS)
            await rig.publish(*map(keyed, range(MOST, 2 * MOST)))
            await asyncio.sleep(0.5)
            assert not asking.done()
            done.set_result(None)
            assert await soon(asking) is None
            assert not await member.commit(batch)
        assert not await rig.committed()
        [in_order] = (await in_order_of(2 * MOST, member)).values()
    assert in_order == list(range(2 * MOST))


async def test_what_was_polled_before_a_revocation_is_dropped(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.publish(*map(keyed, range(2)))
    async with rig.member() as member:
        while not (polled := await member._poll()) or not polled[1]:  # type: ignore[attr-defined]
            pass
        async with rig.member() as other:
            await until(lambda: len(member.assignment) == len(other.assignment))
        await until(lambda: len(member.assignment) == PARTITIONS)

        async def stale() -> object:
            return polled

        with monkeypatch.context() as patch:
            patch.setattr(member, "_poll", stale)
            async with member.batch() as batch:
                assert not batch.records
        assert len(await committed_by(2, member)) == 2


async def test_a_commit_after_losing_the_partitions_says_so(rig: Rig) -> None:
    await rig.publish(*map(keyed, range(2)))
    async with rig.member() as member:
        async with taken(member) as batch:
            await rig.lose(member)
            assert not await member.commit(batch)
        assert not await rig.committed()
    async with rig.member() as successor:
        assert await committed_by(2, successor) == places_of(batch)
