"""Where a measurement takes place: nowhere that somebody else uses; and what is said of what cannot be removed."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest
from pymongo.errors import OperationFailure

from processor import grounds as the_grounds
from processor.errors import BrokerUnavailable, InvalidInput
from processor.grounds import grounds
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

    monkeypatch.setattr(the_grounds, "delete_topics", away)
    database = SimpleNamespace(name="measured", list_collection_names=names, drop_collection=refuse)
    left: list[str] = []
    await the_grounds._remove(grounds(THEIRS, "measured", 50_000), cast("Database", database), left.append)
    of_mongo, of_kafka = left
    assert "db.getSiblingDB('measured').dropDatabase()" in of_mongo
    assert "not authorized" in of_mongo
    assert "measured.statements, measured.progress, measured.dead-letters" in of_kafka
    assert "no answer in time" in of_kafka


class _Emptied:
    """A database without collections."""

    name = "measured"

    async def list_collection_names(self) -> list[str]:
        return []


EMPTIED = cast("Database", _Emptied())


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when the topics are removed."""
    removed = asyncio.Event()

    async def delete(_: Settings) -> None:
        removed.set()

    monkeypatch.setattr(the_grounds, "delete_topics", delete)
    return removed


async def test_what_is_being_made_is_waited_for_and_then_removed(removed: asyncio.Event) -> None:
    made, left = asyncio.Event(), list[str]()
    making = asyncio.create_task(_until(made))
    ours = grounds(THEIRS, "measured", 50_000)
    clearing = asyncio.create_task(the_grounds._clear_away(ours, EMPTIED, making, asyncio.Event(), left.append))
    await asyncio.sleep(0.05)
    assert not removed.is_set()
    made.set()
    await clearing
    assert removed.is_set()
    assert left == []


async def test_what_is_never_made_is_not_waited_for(removed: asyncio.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(the_grounds, "MAKING", 0.05)
    making, left = asyncio.create_task(_until(asyncio.Event())), list[str]()
    async with asyncio.timeout(10):
        await the_grounds._clear_away(
            grounds(THEIRS, "measured", 50_000), EMPTIED, making, asyncio.Event(), left.append
        )
    assert removed.is_set()
    assert making.cancelled()
    [told] = left
    assert "database measured and topics measured.statements, measured.progress, measured.dead-letters" in told


async def test_who_has_enough_is_told_what_may_be_left(removed: asyncio.Event) -> None:
    making, enough, left = asyncio.create_task(_until(asyncio.Event())), asyncio.Event(), list[str]()
    enough.set()
    async with asyncio.timeout(10):
        await the_grounds._clear_away(grounds(THEIRS, "measured", 50_000), EMPTIED, making, enough, left.append)
    assert not removed.is_set()
    of_mongo, of_kafka = left
    assert "db.getSiblingDB('measured').dropDatabase()" in of_mongo
    assert "measured.statements, measured.progress, measured.dead-letters" in of_kafka


async def _until(event: asyncio.Event) -> None:
    await event.wait()
