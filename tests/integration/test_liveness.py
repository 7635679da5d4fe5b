"""A real consumer that freezes fails liveness; one that reads, rests or is paused does not."""

from collections.abc import AsyncIterator

import pytest

from processor.app import consumer_standings
from processor.clock import SystemClock
from processor.metrics import Metrics
from processor.operating import create_all_topics
from processor.services.lag import LagWatch
from processor.services.liveness import Liveness, Vitals
from processor.services.surroundings import Surroundings
from processor.settings import Settings
from processor.transport.consumer import KafkaRecordSource, open_source
from tests.acceptance.world import produce


class Hands:
    """A clock that is moved by hand."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
async def source(settings: Settings) -> AsyncIterator[KafkaRecordSource]:
    """A member that has its partitions."""
    await create_all_topics(settings)
    async with open_source(settings) as source:
        while not source.gate.is_settled:
            async with source.batch():
                pass
        yield source


async def read(source: KafkaRecordSource, wanted: int) -> None:
    while wanted > 0:
        async with source.batch() as batch:
            wanted -= len(batch.records)
            await source.commit(batch)


async def test_a_frozen_consumer_fails_liveness(settings: Settings, source: KafkaRecordSource) -> None:
    clock = Hands()
    around = Surroundings(SystemClock(), Metrics(), liveness=Liveness(60, clock))
    vitals = Vitals(around.liveness)
    watch = LagWatch(lambda: consumer_standings(source), lambda: source.assignment, around)

    async def faults() -> list[str]:
        """Look, as the lag's loop does, and ask, as an orchestrator does."""
        await watch.step()
        return await vitals.live()

    await produce(settings, [b"{}"] * 4)
    await read(source, 4)
    assert await faults() == []
    clock.seconds = 1_000
    assert await faults() == [], "it rests: there is nothing to read"

    # From here on nobody polls.
    await produce(settings, [b"{}"] * 4)
    assert await faults() == []
    clock.seconds += 61
    stuck = await faults()
    assert len(stuck) == settings.topic_partitions
    assert all("behind and has not advanced for 61 s" in fault for fault in stuck)

    source._consumer.pause(*source._assigned())  # type: ignore[union-attr]  # it is open
    assert await faults() == [], "it is paused on purpose"
    source._consumer.resume(*source._assigned())  # type: ignore[union-attr]  # it is open
    await read(source, 4)
    assert await faults() == []


async def test_a_consumer_that_was_closed_has_no_place_until_the_group_has_settled_again(
    source: KafkaRecordSource,
) -> None:
    await source.close()  # as an error of a poll does it
    assert not has_its_place(source)
    assert await source.standings() == {}
    while not has_its_place(source):
        async with source.batch():
            pass
    assert source.assignment


def has_its_place(source: KafkaRecordSource) -> bool:
    return source.gate.is_settled
