"""What counts as progress, judged by a clock that is moved by hand."""

import asyncio

import pytest

from processor.errors import BrokerUnavailable
from processor.services.liveness import Liveness, Standing, Vitals

PARTITION = ("statements", 0)


class Hands:
    """A clock."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def liveness(clock: Hands) -> Liveness:
    return Liveness(60, clock)


def test_a_loop_that_does_not_come_round_is_stuck(liveness: Liveness, clock: Hands) -> None:
    liveness.came_round("ingest")
    liveness.came_round("relay")
    clock.seconds = 50
    liveness.came_round("relay")
    assert liveness.faults() == []
    clock.seconds = 61
    assert liveness.faults() == ["loop ingest has not come round for 61 s"]
    liveness.came_round("ingest")
    assert liveness.faults() == []


def test_a_loop_that_waits_for_a_server_is_alive_and_one_that_has_ended_is_nobodys_business(
    liveness: Liveness, clock: Hands
) -> None:
    liveness.came_round("ingest")
    liveness.came_round("relay")
    for clock.seconds in range(0, 600, 15):
        liveness.waits("ingest")
        liveness.waits("start")  # not a loop
        liveness.came_round("relay")
    assert liveness.faults() == []
    liveness.ended("ingest")
    liveness.ended("relay")
    clock.seconds = 10_000
    assert liveness.faults() == []


@pytest.mark.parametrize(
    ("standings", "is_stuck"),
    [
        ([(5, 9), (5, 9), (5, 20)], True),
        ([(5, 9), (6, 20), (7, 30)], False),
        ([(9, 9), (9, 9), (9, 9)], False),
        ([(9, 9), (9, 9), (9, 10)], False),
        ([(5, 9), (9, 9), (9, 12)], False),
        ([(5, 9), (1, 9), (1, 9)], False),
        ([(5, 9), None, (5, 9)], False),
    ],
    ids=["frozen", "advancing", "nothing to read", "fresh records", "caught up once", "rewound", "lost in between"],
)
def test_a_partition_that_is_behind_and_does_not_advance_is_stuck(
    liveness: Liveness, clock: Hands, standings: list[tuple[int, int] | None], is_stuck: bool
) -> None:
    for number, standing in enumerate(standings):
        clock.seconds = number * 40
        liveness.observe({PARTITION: Standing(*standing)} if standing else {})
    assert liveness.faults() == (["statements-0 is behind and has not advanced for 80 s"] if is_stuck else [])


def test_records_that_wait_for_a_server_are_not_stuck(liveness: Liveness, clock: Hands) -> None:
    liveness.came_round("ingest")
    liveness.observe({PARTITION: Standing(5, 9)})
    clock.seconds = 100
    liveness.waits("ingest")
    assert liveness.faults() == []


def test_records_that_waited_for_a_server_are_not_stuck_when_it_is_back(liveness: Liveness, clock: Hands) -> None:
    liveness.came_round("ingest")
    for clock.seconds in range(0, 600, 15):
        liveness.waits("ingest")
        liveness.observe({PARTITION: Standing(5, 9)})
    liveness.came_round("ingest")
    assert liveness.faults() == [], "nobody has looked since"
    for clock.seconds in range(600, 675, 15):
        liveness.came_round("ingest")
        liveness.observe({PARTITION: Standing(5, 9)})
    assert liveness.faults() == ["statements-0 is behind and has not advanced for 75 s"]


def test_what_nobody_has_looked_at_for_long_is_not_stuck(liveness: Liveness, clock: Hands) -> None:
    liveness.observe({PARTITION: Standing(5, 9)})
    clock.seconds = 50
    liveness.observe({PARTITION: Standing(5, 9)})
    clock.seconds = 10_000
    assert liveness.faults() == []


async def test_ready_is_after_the_start_when_every_check_passes(
    liveness: Liveness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processor.services.liveness.CHECK_SECONDS", 0.01)
    faults: list[str | None] = [None]

    async def said() -> str | None:
        return faults[0]

    async def silent() -> str | None:
        await asyncio.Event().wait()
        return None

    async def unreachable() -> str | None:
        raise BrokerUnavailable("no broker")

    vitals = Vitals(liveness)
    vitals.watch(said)
    assert await vitals.ready() == ["starting"]
    vitals.begin()
    assert await vitals.ready() == []
    faults[0] = "not assigned"
    vitals.watch(silent)
    vitals.watch(unreachable)
    assert await vitals.ready() == ["not assigned", "a server does not answer within 0.01 s", "no broker"]
