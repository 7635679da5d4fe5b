"""How far behind the consumer is, as the metrics tell it."""

import asyncio
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from processor.clock import SystemClock
from processor.errors import BrokerUnavailable
from processor.metrics import SHARED, Metrics
from processor.services import lag
from processor.services.lag import LagWatch
from processor.services.liveness import Partition, Standing, Standings
from processor.services.surroundings import Surroundings

ONE, OTHER = ("statements", 0), ("statements", 1)


class Member:
    """Stands where it is told to, and has what it is told to have."""

    def __init__(self) -> None:
        self.stands: Standings = {ONE: Standing(3, 10), OTHER: Standing(7, 7)}
        self.has: frozenset[Partition] | None = frozenset({ONE, OTHER})
        self.metrics = Metrics()
        self.watch = LagWatch(self.standings, lambda: self.has, Surroundings(SystemClock(), self.metrics))

    async def standings(self) -> Standings:
        return self.stands

    async def told(self) -> dict[str, float]:
        """Look, and say what the metrics say of each partition."""
        assert await self.watch.step() == 0
        [family] = [it for it in self.metrics.registry.collect() if it.name == "journey_progress_lag"]
        return {sample.labels["partition"]: sample.value for sample in family.samples}


async def test_it_is_what_lies_between_the_position_and_the_end() -> None:
    assert await Member().told() == {"0": 7, "1": 0}


async def test_what_went_to_another_member_is_forgotten() -> None:
    member = Member()
    await member.told()
    member.has, member.stands = frozenset({OTHER}), {OTHER: Standing(7, 9)}
    assert await member.told() == {"1": 2}
    member.has, member.stands = frozenset(), {}
    assert await member.told() == {}


async def test_what_is_paused_keeps_its_last_word() -> None:
    member = Member()
    await member.told()
    member.stands = {OTHER: Standing(7, 8)}
    assert await member.told() == {"0": 7, "1": 1}


async def test_nothing_is_forgotten_before_the_group_has_settled() -> None:
    member = Member()
    await member.told()
    member.has, member.stands = None, {}
    assert await member.told() == {"0": 7, "1": 0}


async def test_brokers_that_do_not_answer_are_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "CHECK_SECONDS", 0.01)

    async def never() -> Standings:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(BrokerUnavailable, match="no answer"):
        await LagWatch(never, frozenset, Surroundings(SystemClock(), Metrics())).step()


async def test_where_processes_share_their_metrics_the_last_word_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    member = Member()
    await member.told()
    member.has, member.stands = frozenset({OTHER}), {OTHER: Standing(7, 9)}
    with shared(monkeypatch):
        assert await member.told() == {"0": 0, "1": 2}


@contextmanager
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a child of `--processes`, where prometheus_client warns that it cannot remove."""
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("error")
        patch.setenv(SHARED, "somewhere")
        yield
