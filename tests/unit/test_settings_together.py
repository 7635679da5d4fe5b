"""Settings that do not fit together stop the start, with their names and the mend."""

from typing import Any

import pytest

from processor.errors import InvalidSettings
from processor.settings import PREFIX, load_settings

NEEDED = {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "MONGO_URL": "mongodb://ana:s3cret@mongo/?replicaSet=rs0"}


def loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, changes: dict[str, str]) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (NEEDED | changes).items():
        monkeypatch.setenv(f"{PREFIX}{name}", value)
    load_settings()


def test_the_defaults_fit_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    loaded(monkeypatch, tmp_path, {})


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"REBALANCE_TIMEOUT": "20"}, ["REBALANCE_TIMEOUT", "SESSION_TIMEOUT"]),
        ({"MAX_POLL_INTERVAL": "59"}, ["MAX_POLL_INTERVAL", "REBALANCE_TIMEOUT"]),
        (
            {"MAX_POLL_INTERVAL": "415"},
            ["MAX_POLL_INTERVAL", "17 MONGO_TIMEOUT", "LEASE / 2", "415 seconds", "raise it"],
        ),
        (
            {"LIVENESS_DEADLINE": "415"},
            ["LIVENESS_DEADLINE", "17 MONGO_TIMEOUT", "LEASE / 2", "415 seconds", "raise it"],
        ),
        ({"BACKLOG_POLL": "600"}, ["LIVENESS_DEADLINE", "BACKLOG_POLL"]),
        ({"MONGO_TIMEOUT": "20.5", "LIVENESS_DEADLINE": "420"}, ["LIVENESS_DEADLINE", "423.5 seconds"]),
        ({"MONGO_TIMEOUT": "100", "LEASE": "101"}, ["MAX_POLL_INTERVAL", "MONGO_TIMEOUT"]),
        ({"LEASE": "20"}, ["LEASE", "MONGO_TIMEOUT"]),
        ({"POLL_TIMEOUT": "30"}, ["POLL_TIMEOUT", "SESSION_TIMEOUT"]),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka"}, ["KAFKA_BOOTSTRAP_SERVERS", "host:port"]),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092,:9092"}, ["KAFKA_BOOTSTRAP_SERVERS"]),
        ({"KAFKA_BOOTSTRAP_SERVERS": "kafka:99999"}, ["KAFKA_BOOTSTRAP_SERVERS"]),
        ({"REJECTION_BUDGET": "1"}, ["REJECTION_BUDGET"]),
        ({"REJECTION_BUDGET": "-0.1"}, ["REJECTION_BUDGET"]),
        ({"REJECTION_WINDOW": "0"}, ["REJECTION_WINDOW"]),
        ({"MONGO_URL": "mongo:27017"}, ["MONGO_URL", "mongodb://"]),
    ],
)
def test_a_fault_is_named_with_its_mend(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, changes: dict[str, str], names: list[str]
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        loaded(monkeypatch, tmp_path, changes)
    assert all(name in str(caught.value) for name in names), str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("addresses", ["a:1", "a.b:9092, c:9093", "[::1]:9092"])
def test_addresses_of_brokers(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, addresses: str) -> None:
    loaded(monkeypatch, tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": addresses})
