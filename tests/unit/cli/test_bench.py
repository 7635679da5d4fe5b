"""`bench`: what it measures is what `run` is, and what it has found is printed whatever is left behind."""

import gc
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from processor.benching import Plan, Told
from processor.cli import bench
from processor.cli.running import COLLECT_AFTER
from processor.core.sizing import Measured
from processor.errors import StoreUnavailable
from processor.grounds import Left
from processor.settings import PREFIX, Settings
from tests.unit.cli.command import Command

MEASURED = Measured(10_000, 500, 500, 2.0, 1.9, None, 100_000_000, 1_000.0, [0.01])


@pytest.fixture(autouse=True)
def _servers(journey_progress: Command, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv(f"{PREFIX}MONGO_URL", "mongodb://mongo")
    usual = gc.get_threshold()
    yield
    gc.set_threshold(*usual)


async def _leaving(settings: Settings, plan: Plan, told: Told, left: Left) -> Measured:
    left("database measured is left")
    return MEASURED


async def _failing(settings: Settings, plan: Plan, told: Told, left: Left) -> Measured:
    left("database measured is left")
    raise StoreUnavailable("MongoDB: away")


def test_figures_are_printed_before_what_is_left(journey_progress: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_until_interrupted", _leaving)
    done = journey_progress("bench")
    assert done.status == 0
    assert "it does not say (role clusterMonitor)" in done.out
    assert done.err == "database measured is left\n"


def test_what_is_left_is_told_of_a_measurement_that_fails_too(
    journey_progress: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "_until_interrupted", _failing)
    done = journey_progress("bench")
    assert done.status == 69
    assert done.err == "database measured is left\njourney-progress: MongoDB: away\n"


def test_a_broken_stderr_is_no_failure(journey_progress: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(bench, "_until_interrupted", _leaving)
    monkeypatch.setattr(bench, "warn", broken)
    assert journey_progress("bench").status == 0


def test_python_looks_for_cycles_as_seldom_as_in_run(
    journey_progress: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    thresholds = []

    def run(work: Coroutine[Any, Any, Measured]) -> Measured:
        work.close()
        thresholds.append(gc.get_threshold())
        return MEASURED

    monkeypatch.setattr(bench, "run", run)
    assert journey_progress("bench").status == 0
    assert thresholds == [COLLECT_AFTER]
