"""One contract for `ports.JourneyCatalog`: MongoDB's, by its count of writes and by polling, and the one in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from bson import ObjectId
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError

from processor.errors import StoreUnavailable
from processor.ports.interfaces import JourneyCatalog
from processor.store.connect import JOURNEYS, Database
from processor.store.journeys import TRUST, MongoJourneyCatalog
from processor.testing.database import MemoryDatabase
from processor.testing.journeys import MemoryJourneyCatalog
from tests.builders import a_journey
from tests.contract.test_store_plans import profiled

Catalogs = Callable[[], JourneyCatalog]
"""Makes one process's view of the same journeys."""

NEVER = 3600.0
POLLS = 40


class Mute:
    """A database that does not tell what was written, as without the right to ask."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.journeys = database[JOURNEYS]

    def __getitem__(self, name: str) -> "Mute":
        assert name == JOURNEYS
        return self

    def __getattr__(self, name: str) -> object:
        return getattr(self.journeys, name)

    def with_options(self, **_options: object) -> "Mute":
        return self

    async def aggregate(self, _pipeline: object) -> None:
        raise OperationFailure("not authorized to execute command aggregate", 13)


@pytest.fixture
def counting(mongo_database: Database) -> Catalogs:
    return lambda: MongoJourneyCatalog(mongo_database, poll=NEVER, moment=0.01)


@pytest.fixture
def polling(mongo_database: Database) -> Catalogs:
    return lambda: MongoJourneyCatalog(Mute(mongo_database), poll=0.01)  # type: ignore[arg-type]


@pytest.fixture(params=["memory", *(pytest.param(it, marks=pytest.mark.servers) for it in ("counting", "polling"))])
def catalogs(request: pytest.FixtureRequest) -> Catalogs:
    if request.param == "memory":
        memory = MemoryDatabase()
        return lambda: MemoryJourneyCatalog(memory)
    catalogs: Catalogs = request.getfixturevalue(request.param)
    return catalogs


async def heard(catalog: JourneyCatalog) -> bool:
    for _ in range(POLLS):
        if await catalog.changed():
            return True
    return False


async def test_what_is_saved_is_loaded(catalogs: Catalogs) -> None:
    journeys = [a_journey(), a_journey(description="another")]
    await catalogs().save(journeys)
    assert sorted(await catalogs().load(), key=_by_id) == sorted(journeys, key=_by_id)


async def test_saving_again_replaces_the_whole_journey(catalogs: Catalogs) -> None:
    journey = a_journey(sources=["gone"])
    await catalogs().save([journey])
    replaced = {**a_journey(description="new"), "_id": journey["_id"]}
    await catalogs().save([replaced])
    assert await catalogs().load() == [replaced]


async def test_unknown_fields_survive(catalogs: Catalogs) -> None:
    journey = a_journey(colour={"of": ["the", "logo"]})
    await catalogs().save([journey])
    assert await catalogs().load() == [journey]


async def test_saving_nothing_is_nothing(catalogs: Catalogs) -> None:
    await catalogs().save([])
    assert await catalogs().load() == []


async def test_a_change_by_another_process_is_heard(catalogs: Catalogs) -> None:
    mine, theirs = catalogs(), catalogs()
    await mine.load()
    await theirs.save([a_journey()])
    assert await heard(mine)
    assert len(await mine.load()) == 1


async def test_a_change_while_nobody_asks_is_heard_later(catalogs: Catalogs) -> None:
    """Between loading and asking no change may fall through."""
    mine, theirs = catalogs(), catalogs()
    await theirs.save([a_journey()])
    await mine.load()
    await theirs.save([a_journey()])
    await theirs.save([a_journey()])
    assert await heard(mine)
    assert len(await mine.load()) == 3


async def test_without_a_change_nothing_is_told(counting: Catalogs) -> None:
    catalog = counting()
    await catalog.save([a_journey()])
    await catalog.load()
    assert not await catalog.changed()


async def test_a_collection_that_is_dropped_and_made_anew_is_heard_of(
    counting: Catalogs, mongo_database: Database
) -> None:
    mine, theirs = counting(), counting()
    await theirs.save([a_journey()])
    await mine.load()
    await mongo_database[JOURNEYS].drop()
    assert await heard(mine)
    assert await mine.load() == []
    await theirs.save([a_journey()])
    assert await heard(mine)
    assert len(await mine.load()) == 1


async def test_another_server_that_has_counted_the_same_means_looking(mongo_database: Database) -> None:
    catalog = MongoJourneyCatalog(mongo_database, poll=NEVER, moment=0.01)
    await catalog.load()
    assert not await catalog.changed()
    assert catalog._written
    for place in (0, 1):  # another process, another election
        before = catalog._written
        catalog._written = (*before[:place], ObjectId(), *before[place + 1 :])
        assert await catalog.changed()
        catalog._written = before


@pytest.mark.parametrize(
    ("answers", "is_told"),
    [
        ([{"host": "a", "latencyStats": {"writes": {"latency": 5, "ops": 1}}}], True),
        ([], False),
        ([{"host": "a"}], False),
        ([{"host": "a", "latencyStats": {}}], False),
    ],
)
async def test_what_several_mongos_tell_of_the_shards_is_one_count(
    mongo_database: Database, monkeypatch: pytest.MonkeyPatch, answers: list[dict[str, object]], *, is_told: bool
) -> None:
    """Each has a process of its own, and any may answer. What tells no count is looked at after each interval."""
    catalog = MongoJourneyCatalog(mongo_database, poll=NEVER, moment=0.01)

    async def hello(_name: str) -> dict[str, object]:
        return {"msg": "isdbgrid", "topologyVersion": {"processId": ObjectId()}}

    async def told(answers: list[dict[str, object]]) -> AsyncIterator[dict[str, object]]:
        for answer in answers:
            yield answer

    async def aggregate(_pipeline: object) -> AsyncIterator[dict[str, object]]:
        return told(answers)

    monkeypatch.setattr(catalog._journeys.database, "command", hello)
    monkeypatch.setattr(catalog._journeys, "aggregate", aggregate)
    first, second = [await catalog._count_written() for _ in range(2)]
    assert first == second
    assert (first is not None) == is_told


async def test_what_a_transaction_commits_after_it_was_counted_is_looked_for_once_more(
    mongo_database: Database,
) -> None:
    catalog = MongoJourneyCatalog(mongo_database, poll=3, moment=0.01)
    await catalog.save([a_journey()])
    await catalog.load()
    async with mongo_database.client.start_session() as session, await session.start_transaction():
        await mongo_database[JOURNEYS].insert_one(a_journey(), session=session)
        assert await heard(catalog)
        for _ in range(2):  # whoever else needs them
            assert len(await catalog.load()) == 1
    assert not await catalog.changed()
    await asyncio.sleep(3.1)
    assert await catalog.changed()
    assert len(await catalog.load()) == 2


async def test_what_no_server_counts_is_found_after_a_while(mongo_database: Database) -> None:
    journeys, catalog = mongo_database[JOURNEYS], MongoJourneyCatalog(mongo_database, poll=0.1, moment=0.001)
    await catalog.save([a_journey()])
    await catalog.load()
    await asyncio.sleep(0.2)
    await catalog.load()
    await (await journeys.aggregate([{"$set": {"description": "merged"}}, {"$merge": JOURNEYS}])).to_list()
    assert not await catalog.changed()
    await asyncio.sleep(TRUST * 0.1)
    assert await catalog.changed()
    [journey] = await catalog.load()
    assert journey["description"] == "merged"


async def test_an_outage_is_told(mongo_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks waits it out, and asks again: what was written meanwhile is counted."""
    catalog = MongoJourneyCatalog(mongo_database, poll=NEVER, moment=0.01)
    await catalog.load()

    async def away(_pipeline: object) -> None:
        raise ServerSelectionTimeoutError("no primary")

    with monkeypatch.context() as patch:
        patch.setattr(catalog._journeys, "aggregate", away)
        with pytest.raises(StoreUnavailable):
            await catalog.changed()
    await catalog.save([a_journey()])
    assert await catalog.changed()


async def test_journeys_that_could_not_be_read_have_not_been_looked_at(
    mongo_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an outage at the wrong moment would cost a whole polling interval."""
    catalog = MongoJourneyCatalog(mongo_database, poll=NEVER, moment=0.01)
    await catalog.load()
    await mongo_database[JOURNEYS].insert_one(a_journey())

    def unavailable(**_: object) -> None:
        raise ServerSelectionTimeoutError("no primary")

    with monkeypatch.context() as patch:
        patch.setattr(catalog._majority, "find", unavailable)
        with pytest.raises(StoreUnavailable):
            await catalog.load()
    assert await catalog.changed()


async def test_a_version_that_could_be_rolled_back_is_not_loaded_nor_one_passed_over(mongo_database: Database) -> None:
    catalog = MongoJourneyCatalog(mongo_database, poll=NEVER)
    await catalog.save([a_journey()])
    [read] = await profiled(mongo_database, catalog.load(), JOURNEYS)
    assert read["readConcern"]["level"] == "majority"
    assert read["readConcern"]["afterClusterTime"] >= read["command"]["$clusterTime"]["clusterTime"]


def _by_id(journey: object) -> str:
    assert isinstance(journey, dict)
    return str(journey["_id"])
