"""Where a measurement takes place: nowhere that somebody else uses; and what is said of what cannot be removed."""

from types import SimpleNamespace
from typing import cast

import pytest
from pymongo.errors import OperationFailure

from processor import benching
from processor.benching import grounds
from processor.errors import BrokerUnavailable, InvalidInput
from processor.settings import Settings
from processor.store.connect import Database

THEIRS = Settings(_env_file=None, kafka_bootstrap_servers="kafka:9092", mongo_url="mongodb://mongo")


def test_every_name_is_its_own() -> None:
    own = grounds(THEIRS, "measured", 50_000)
    names = ("statements_topic", "progress_topic", "dead_letters_topic", "consumer_group", "mongo_database")
    assert all(getattr(own, name).startswith("measured") for name in names)
    assert own.batch_records == THEIRS.batch_records
    assert grounds(THEIRS, "measured", 500).batch_records == 100


@pytest.mark.parametrize("prefix", ["", "a.b", "a b", "a/b", "$x", "é", "x" * 51])
def test_a_prefix_must_be_a_name_for_all_of_them(prefix: str) -> None:
    with pytest.raises(InvalidInput, match="--prefix"):
        grounds(THEIRS, prefix, 50_000)


async def test_what_cannot_be_removed_is_told_with_the_mend_and_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures would be lost."""

    async def refuse(*_: object) -> None:
        raise OperationFailure("not authorized", 13)

    async def away(_: Settings) -> None:
        raise BrokerUnavailable("Kafka: no answer in time")

    async def names() -> list[str]:
        return ["journeys"]

    monkeypatch.setattr(benching, "delete_topics", away)
    database = SimpleNamespace(name="measured", list_collection_names=names, drop_collection=refuse)
    left: list[str] = []
    await benching._remove(grounds(THEIRS, "measured", 50_000), cast("Database", database), left.append)
    of_mongo, of_kafka = left
    assert "db.getSiblingDB('measured').dropDatabase()" in of_mongo
    assert "not authorized" in of_mongo
    assert "measured.statements, measured.progress, measured.dead-letters" in of_kafka
    assert "no answer in time" in of_kafka
