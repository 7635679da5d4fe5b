"""One contract for `ports.JourneyCatalog`: MongoDB's, with a change stream and by polling, and the one in memory."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError

from processor.errors import StoreUnavailable
from processor.ports.interfaces import JourneyCatalog
from processor.store.connect import JOURNEYS, Database
from processor.store.journeys import MongoJourneyCatalog
from processor.testing.journeys import MemoryJourneyCatalog
from processor.testing.store import MemoryDatabase
from tests.builders import a_journey
from tests.contract.test_store_plans import profiled

Catalogs = Callable[[], JourneyCatalog]
"""Makes one process's view of the same journeys."""

NEVER = 3600.0
POLLS = 40


class Deaf:
    """A database that cannot be listened to: change streams are refused, as without the right to them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.journeys = database[JOURNEYS]

    def __getitem__(self, name: str) -> "Deaf":
        assert name == JOURNEYS
        return self

    def __getattr__(self, name: str) -> object:
        return getattr(self.journeys, name)

    def with_options(self, **_options: object) -> "Deaf":
        return self

    async def watch(self, **_options: object) -> None:
        raise OperationFailure("not authorized to execute command aggregate", 13)


@pytest.fixture
async def streaming(mongo_database: Database) -> AsyncIterator[Catalogs]:
    async with AsyncExitStack() as stack:

        def catalog() -> MongoJourneyCatalog:
            made = MongoJourneyCatalog(mongo_database, poll=NEVER)
            stack.push_async_callback(made.close)
            return made

        yield catalog


@pytest.fixture
def polling(mongo_database: Database) -> Catalogs:
    return lambda: MongoJourneyCatalog(Deaf(mongo_database), poll=0.01)  # type: ignore[arg-type]


@pytest.fixture(params=["memory", *(pytest.param(it, marks=pytest.mark.servers) for it in ("streaming", "polling"))])
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


async def test_without_a_change_the_stream_says_nothing(streaming: Catalogs) -> None:
    catalog = streaming()
    await catalog.save([a_journey()])
    await catalog.load()
    assert not await catalog.changed()


async def test_a_burst_of_changes_is_heard_once(streaming: Catalogs) -> None:
    mine, theirs = streaming(), streaming()
    await mine.load()
    await theirs.save([a_journey() for _ in range(50)])
    assert await heard(mine)
    assert not await mine.changed()


async def test_a_stream_that_is_over_is_opened_again(streaming: Catalogs, mongo_database: Database) -> None:
    """Dropping the collection ends the stream without an error; what comes after it must be heard all the same."""
    mine, theirs = streaming(), streaming()
    await theirs.save([a_journey()])
    await mine.load()
    await mongo_database[JOURNEYS].drop()
    assert await heard(mine)
    assert await mine.load() == []
    await theirs.save([a_journey()])
    assert await heard(mine)
    assert len(await mine.load()) == 1


async def test_a_stream_whose_cursor_is_lost_goes_on(streaming: Catalogs, mongo_database: Database) -> None:
    mine, theirs = streaming(), streaming()
    await mine.load()
    await close_cursors(mongo_database)
    await theirs.save([a_journey()])
    assert await heard(mine)


async def test_a_stream_that_breaks_means_looking_and_is_opened_again(
    mongo_database: Database, streaming: Catalogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise OperationFailure("resume of change stream was not possible", 286)

    mine = MongoJourneyCatalog(mongo_database, poll=NEVER)
    await mine.load()
    monkeypatch.setattr(mine._stream, "try_next", broken)
    assert await mine.changed()
    await mine.load()
    await streaming().save([a_journey()])
    assert await heard(mine)
    await mine.close()


async def close_cursors(database: Database) -> None:
    """What a new primary has: it knows none of the cursors."""
    operations = await database.client.admin.aggregate(
        [{"$currentOp": {"idleCursors": True}}, {"$match": {"ns": f"{database.name}.{JOURNEYS}"}}]
    )
    cursors = [found["cursor"]["cursorId"] async for found in operations if "cursor" in found]
    assert cursors
    await database.command("killCursors", JOURNEYS, cursors=cursors)


async def test_journeys_that_could_not_be_read_have_not_been_looked_at(
    mongo_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an outage at the wrong moment would cost a whole polling interval."""
    catalog = MongoJourneyCatalog(mongo_database, poll=NEVER)

    def unavailable(**_: object) -> None:
        raise ServerSelectionTimeoutError("no primary")

    with monkeypatch.context() as patch:
        patch.setattr(catalog._majority, "find", unavailable)
        with pytest.raises(StoreUnavailable):
            await catalog.load()
    assert await catalog.changed()
    await catalog.close()


async def test_a_version_that_could_be_rolled_back_is_not_loaded_nor_one_passed_over(mongo_database: Database) -> None:
    catalog = MongoJourneyCatalog(mongo_database, poll=NEVER)
    await catalog.save([a_journey()])
    [read] = await profiled(mongo_database, catalog.load(), JOURNEYS)
    await catalog.close()
    assert read["readConcern"]["level"] == "majority"
    assert read["readConcern"]["afterClusterTime"] >= read["command"]["$clusterTime"]["clusterTime"]


async def test_a_stream_that_is_silent_is_not_trusted_for_ever(mongo_database: Database) -> None:
    catalog = MongoJourneyCatalog(mongo_database, poll=0.001)
    await catalog.load()
    assert await heard(catalog)
    await catalog.close()


def _by_id(journey: object) -> str:
    assert isinstance(journey, dict)
    return str(journey["_id"])
