"""A child of `--processes N` goes on telling how it is, whatever goes wrong once."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from processor.cli import children
from processor.cli.children import Child, Words
from processor.services.liveness import Liveness, Vitals


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - files and logs have no event to wait for
            await asyncio.sleep(0.01)


@pytest.fixture
def vitals(monkeypatch: pytest.MonkeyPatch) -> Vitals:
    monkeypatch.setattr(children, "TELL_SECONDS", 0.01)
    return Vitals(Liveness(300.0, time.monotonic))


async def test_a_word_that_could_not_be_written_is_followed_by_others(tmp_path: Path, vitals: Vitals) -> None:
    """As when the disk is full for a moment; here the directory is missing."""
    words = Words(tmp_path / "late", 2)
    with capture_logs() as logs:
        async with Child(2, words).beside(vitals):
            await until(lambda: logs)
            words.directory.mkdir()
            await until(lambda: words.heard(2))
    assert {(entry["log_level"], entry["exc_info"]) for entry in logs} == {("error", True)}


async def test_what_nobody_foresaw_costs_one_word(tmp_path: Path, vitals: Vitals) -> None:
    faults = iter([ZeroDivisionError("the bug that the test wants")])

    async def check() -> None:
        for fault in faults:
            raise fault

    vitals.watch(check)
    vitals.begin()
    words = Words(tmp_path, 2)
    with capture_logs() as logs:
        async with Child(2, words).beside(vitals):
            await until(lambda: words.heard(2))
    assert len(logs) == 1


def test_who_starts_is_not_cleared_away_under(tmp_path: Path) -> None:
    """An orphan that ends first leaves the directory to the one that has just announced itself."""
    words = Words(tmp_path / "shared", 2)
    words.directory.mkdir()
    Child(2, words).announce()
    assert words.faults(lambda word: word.ready, 1) == ["process 2: starting"]
    words.clear_away(1)
    assert words.directory.exists()
    words.clear_away(2)
    assert not words.directory.exists()


def test_of_two_that_end_at_once_one_may_find_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be raised in a `finally`, and be the exit code."""

    looked: list[object] = []

    def gone(*asked: object) -> Iterator[Path]:
        looked.append(asked)
        raise FileNotFoundError

    monkeypatch.setattr(Path, "glob", gone)
    Words(tmp_path, 2).clear_away(1)
    assert looked
