"""`status` while a server is away: the other's answers, what is unknown and why, and the exit code."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from processor import operating
from processor.errors import BrokerUnavailable, StoreUnavailable
from processor.ports.progress import Backlog
from processor.settings import PREFIX
from tests.unit.cli.command import Command, Done

KAFKA_IS_AWAY = BrokerUnavailable("Kafka does not answer")
MONGO_IS_AWAY = StoreUnavailable("MongoDB does not answer")
BACKLOG = Backlog(9, 5, 4, 0, 0, 3, None, None, None)


def status(
    journey_progress: Command,
    monkeypatch: pytest.MonkeyPatch,
    *options: str,
    kafka: Exception | None = None,
    mongo: Exception | None = None,
) -> Done:
    """Run `status` on servers that answer so, or not at all."""

    def answering(value: Any, fault: Exception | None) -> Any:
        async def answer(*_: object) -> Any:
            if fault:
                raise fault
            return value

        return answer

    @asynccontextmanager
    async def open_stores(*_: object, **__: object) -> AsyncIterator[Any]:
        yield SimpleNamespace(progress=SimpleNamespace(backlog=answering(BACKLOG, mongo)))

    monkeypatch.setenv(f"{PREFIX}KAFKA_BOOTSTRAP_SERVERS", "nowhere:9092")
    monkeypatch.setenv(f"{PREFIX}MONGO_URL", "mongodb://nowhere")
    monkeypatch.setattr(operating, "open_stores", open_stores)
    monkeypatch.setattr(operating, "group_lag", answering({"statements-0": 7}, kafka))
    monkeypatch.setattr(operating, "count_dead_letters", answering(2, kafka))
    return journey_progress("status", *options)


def test_all_is_told(journey_progress: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    done = status(journey_progress, monkeypatch)
    assert (done.status, done.err) == (0, "")
    assert "records not read\t7\tstatements-0:7\n" in done.out
    assert "due for promotion\t5\t\n" in done.out
    assert "dead letters\t2\t" in done.out
    assert "unknown" not in done.out


def test_without_mongodb_what_kafka_says(journey_progress: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    done = status(journey_progress, monkeypatch, mongo=MONGO_IS_AWAY)
    assert (done.status, done.err) == (69, "journey-progress: MongoDB does not answer\n")
    assert "records not read\t7\t" in done.out
    assert "progress documents\tunknown\tMongoDB does not answer\n" in done.out
    assert "dead letters\t2\t" in done.out


def test_without_kafka_what_mongodb_says(journey_progress: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    done = status(journey_progress, monkeypatch, kafka=KAFKA_IS_AWAY)
    assert (done.status, done.err) == (69, "journey-progress: Kafka does not answer\n")
    assert "records not read\tunknown\tKafka does not answer\n" in done.out
    assert "events to publish\t3\t\n" in done.out
    assert "dead letters\tunknown\tKafka does not answer\n" in done.out


def test_json_has_null_and_the_reason(journey_progress: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    done = status(journey_progress, monkeypatch, "--json", mongo=MONGO_IS_AWAY)
    assert done.status == 69
    told = orjson.loads(done.out)
    assert (told["lag"], told["backlog"], told["dead_letters"]) == ({"statements-0": 7}, None, 2)
    assert told["unknown"] == {"backlog": "MongoDB does not answer"}


def test_a_bug_is_not_unknown(journey_progress: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert status(journey_progress, monkeypatch, mongo=ZeroDivisionError()).status == 70
