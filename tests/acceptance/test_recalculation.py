"""Recalculation from outside: real servers, the command, a live stream beside it, kill -9 in the middle."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from bson import ObjectId

from processor.app import Part, run_processor
from processor.core.completions import attempt_to
from processor.core.decode import stored_statement
from processor.core.fold import fold
from processor.core.identity import Identification, progress_id
from processor.core.index import JourneyIndex
from processor.core.journey import compile_journey
from processor.core.matching import match
from processor.errors import InvalidInput, InvalidRecalculation, NobodyRecalculates, NotFound
from processor.opening import open_stores
from processor.operating import apply_journeys, create_all_topics
from processor.recalculating import foresee_recalculation, start_recalculation, watch_recalculation
from processor.settings import Settings
from processor.store.connect import PROGRESSES, RECALCULATIONS, STATEMENTS, Database
from schemas.rendering import rendered
from tests.acceptance.commands import Running, journey_progress, running
from tests.acceptance.world import header, produce, read_all, until_quiet
from tests.builders import JOURNEY, ORGANISATION, WAYPOINTS, an_owner, at
from tests.simulation.recalculating import a_stored, a_waypoint, the_journey

BEFORE = the_journey(a_waypoint(0, "ab", 2), a_waypoint(1, "z"))
AFTER = the_journey(a_waypoint(0, "bc", 2), a_waypoint(1, "d"))
LEARNERS = [f"learner-{number}" for number in range(12)]


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """So that a saved journey is known everywhere in a moment."""
    return settings.model_copy(update={"journeys_poll": 0.2})


def stream(first: int, per_learner: int) -> list[dict[str, Any]]:
    """Statement documents: of each learner some of every verb, so that the last version can be completed."""
    return [
        a_stored(first + place * len(LEARNERS) + number, "abcd"[(place + number) % 4], learner)
        for place in range(per_learner)
        for number, learner in enumerate(LEARNERS)
    ]


async def stored_and_sent(settings: Settings, database: Database, documents: list[dict[str, Any]]) -> None:
    """As an LRS does."""
    await database[STATEMENTS].insert_many(documents)
    await produce(settings, map(rendered, documents))


async def documents_of(database: Database) -> dict[ObjectId, Mapping[str, Any]]:
    return {document["_id"]: document async for document in database[PROGRESSES].find()}


def expected(journey: dict[str, Any], documents: list[dict[str, Any]]) -> dict[ObjectId, list[dict[str, Any]]]:
    """What a fresh run under the journey makes of the statements."""
    rules = compile_journey(journey)
    records = [record for document in documents if (record := stored_statement(document))]
    appends = match(records, JourneyIndex([rules]), Identification()).appends
    return {append.progress: list(map(attempt_to, fold(rules, [append.items]).attempts)) for append in appends}


async def completions(database: Database) -> dict[ObjectId, list[dict[str, Any]]]:
    return {key: document["completions"] for key, document in (await documents_of(database)).items()}


@asynccontextmanager
async def processing(settings: Settings, *parts: Part) -> AsyncIterator[None]:
    """Run the loops here, all of them by default."""
    stop = asyncio.Event()
    loops = asyncio.create_task(run_processor(settings, parts or tuple(Part), stop))
    try:
        yield
    finally:
        stop.set()
        await loops


async def command(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(journey_progress, settings, "recalculate", *arguments)


async def test_conditions_that_change_in_both_directions(quick: Settings, mongo_database: Database) -> None:
    """Seen first, then done: new matches count, old ones are reverted, what the source has forgotten stays."""
    await create_all_topics(quick)
    await apply_journeys(quick, [BEFORE])
    statements = stream(1, 8)
    forgotten = next(document for document in statements if document["statement"]["verb"]["id"].endswith("/a"))
    async with processing(quick):
        await stored_and_sent(quick, mongo_database, statements)
        await until_quiet(quick)
        await mongo_database[STATEMENTS].delete_one({"_id": forgotten["_id"]})
        await apply_journeys(quick, [AFTER])
        await until_folded_under(mongo_database, 2)
        before = await documents_of(mongo_database)
        published = len(await read_all(quick, quick.progress_topic))

        dry = await command(quick, str(JOURNEY), "--dry-run", "--json")
        assert dry.returncode == 0, dry.stderr
        foreseen = {entry["progress"]: entry for entry in orjson.loads(dry.stdout)}
        assert await documents_of(mongo_database) == before
        assert await mongo_database[RECALCULATIONS].count_documents({}) == 0

        done = await command(quick, str(JOURNEY), "--wait", "--json")
        assert done.returncode == 0, done.stderr
        await until_quiet(quick)
    status = orjson.loads(done.stdout)
    assert (status["inProgress"], status["remainingCount"]) == (False, 0)
    assert status["totalCount"] == len(LEARNERS) + len(statements) - 1

    after, wanted = await completions(mongo_database), expected(AFTER, statements)
    owner = forgotten["statement"]["actor"]["mbox"].removeprefix("mailto:").removesuffix("@example.org")
    keeper = progress_id(ORGANISATION, JOURNEY, an_owner(owner))
    wanted.pop(keeper)
    kept = after.pop(keeper)[0]["waypoints"][WAYPOINTS[0]]["statements"]
    assert after == wanted
    assert forgotten["_id"] in [item["statement"] for item in kept]

    events = await read_all(quick, quick.progress_topic)
    replays = {event.key.decode(): orjson.loads(event.value) for event in events if header(event, "ce_replay")}
    assert len(events) == published + len(replays)  # each document is folded once
    assert {key: event["changes"] for key, event in replays.items()} == {
        key: entry["changes"] for key, entry in foreseen.items()
    }
    assert {"recalculated", "progressed", "completed"} <= {
        it["type"] for it in replays[str(next(iter(after)))]["changes"]
    }


async def test_nothing_matches_any_more_and_voided_statements(quick: Settings, mongo_database: Database) -> None:
    """All evidence is taken back, and comes again when the conditions do; what was voided meanwhile does not."""
    await create_all_topics(quick)
    await apply_journeys(quick, [BEFORE])
    statements = stream(1, 4)
    async with processing(quick):
        await stored_and_sent(quick, mongo_database, statements)
        await until_quiet(quick)
        known = await completions(mongo_database)
        assert any(known.values())
        await apply_journeys(quick, [the_journey(a_waypoint(0, "y", 2), a_waypoint(1, "z"))])
        await recalculated(quick)
        assert not any((await completions(mongo_database)).values())
        assert not any("startedAt" in it for it in (await documents_of(mongo_database)).values())

        await mongo_database[STATEMENTS].update_one({"_id": statements[0]["_id"]}, {"$set": {"voided": True}})
        await apply_journeys(quick, [BEFORE])
        await recalculated(quick)
        assert await completions(mongo_database) == known | expected(BEFORE, statements[1:])
        await until_quiet(quick)
    await revisions_have_no_gap(quick, mongo_database)
    kinds = [
        change["type"]
        for event in await read_all(quick, quick.progress_topic)
        for change in orjson.loads(event.value)["changes"]
        if header(event, "ce_replay")
    ]
    assert {"reverted", "started", "progressed"} <= set(kinds)


async def test_kill_9_in_the_middle_and_another_process_goes_on(
    quick: Settings, mongo_database: Database, tmp_path: Path
) -> None:
    """From the topic, as bare statements that matched nothing stand nowhere else; the live stream goes on meanwhile."""
    settings = quick.model_copy(
        update={"recalculate_from": "topic", "batch_records": 20, "lease": 3.0, "mongo_timeout": 2.5}
    )
    slow = settings.model_copy(update={"recalculate_rate": 20.0})
    await create_all_topics(settings)
    await apply_journeys(settings, [BEFORE])
    first, later = stream(1, 20), stream(10_000, 10)
    async with processing(settings, Part.INGEST, Part.PROMOTE, Part.RELAY):
        await produce(settings, map(rendered, first))
        await until_quiet(settings)
        await apply_journeys(settings, [AFTER])
        await until_folded_under(mongo_database, 2)

        worker = Running(slow, tmp_path / "first.log", "recalculation")
        await start_recalculation(settings, JOURNEY, None)
        await until(lambda work: 0 < work["remainingCount"] < work["totalCount"] and work["position"], mongo_database)
        await produce(settings, map(rendered, later[: len(later) // 2]))
        worker.kill()
        assert (await status_of(settings))["inProgress"]
        await until_not_in_progress(settings)
        left = await the_work(mongo_database)
        assert left["stage"]
        assert left["remainingCount"] > 0

        with running(settings, tmp_path / "second.log", "recalculation"):
            await until(lambda work: work["remainingCount"] < left["remainingCount"], mongo_database)
            assert (await the_work(mongo_database))["run"] == left["run"]  # it goes on, it does not begin again
            await produce(settings, map(rendered, later[len(later) // 2 :]))
            await until(lambda work: "stage" not in work, mongo_database)
        await until_quiet(settings)
    assert await completions(mongo_database) == expected(AFTER, first + later)
    for document in (await documents_of(mongo_database)).values():
        assert not any(pending["statements"] for pending in document["pendingProgress"].values())
        assert not document["processing"].get("replay")
    await revisions_have_no_gap(settings, mongo_database)


async def test_nobody_there_to_recalculate(quick: Settings, mongo_database: Database) -> None:
    settings = quick.model_copy(update={"lease": 1.5})
    await apply_journeys(settings, [AFTER])
    await start_recalculation(settings, JOURNEY, None)
    with pytest.raises(NobodyRecalculates, match="journey-progress run"):
        await watched(settings)


async def test_what_cannot_be_recalculated(quick: Settings, mongo_database: Database) -> None:
    with pytest.raises(NotFound):
        await start_recalculation(quick, JOURNEY, None)
    await apply_journeys(quick, [AFTER])
    with pytest.raises(InvalidInput, match="nobody"):
        await start_recalculation(quick, JOURNEY, "nobody")
    await apply_journeys(quick, [{**AFTER, "isActive": False}])
    with pytest.raises(InvalidRecalculation):
        await start_recalculation(quick, JOURNEY, None)
    with pytest.raises(InvalidRecalculation):
        await foresee_recalculation(quick, JOURNEY, None, lambda _, __: None)
    assert InvalidRecalculation.exit_code == NotFound.exit_code == 65


async def test_open_attempts_follow_a_saved_journey_and_completed_ones_keep_their_dates(
    quick: Settings, mongo_database: Database
) -> None:
    """Without a recalculation and without a restart (mark_due); a recalculation leaves what is sealed."""
    await create_all_topics(quick)
    await apply_journeys(quick, [the_journey(a_waypoint(0, "a", 2), isRepeatable=True)])
    documents = [a_stored(1, "a"), a_stored(2, "a"), a_stored(3, "a"), a_stored(4, "a", "ben")]
    ana, ben = (progress_id(ORGANISATION, JOURNEY, an_owner(name)) for name in ("ana", "ben"))
    async with processing(quick):
        await stored_and_sent(quick, mongo_database, documents)
        await until_quiet(quick)
        before = await documents_of(mongo_database)
        assert [it["isCompleted"] for it in before[ana]["completions"]] == [True, False]
        await apply_journeys(quick, [the_journey(a_waypoint(0, "a", 1), isRepeatable=True)])
        await until_folded_under(mongo_database, 2)
        saved = await documents_of(mongo_database)
        await recalculated(quick)
        after = await documents_of(mongo_database)
    assert after[ana]["completions"][0] == before[ana]["completions"][0]
    assert after[ana]["completedAt"] == at(2)
    assert [it["completedAt"] for it in after[ana]["completions"]] == [at(2), at(3)]
    assert after[ben]["completedAt"] == at(4)
    assert [it["completions"] for it in saved.values()] == [it["completions"] for it in after.values()]


async def recalculated(settings: Settings) -> None:
    """Recalculate, and wait until all is folded."""
    await start_recalculation(settings, JOURNEY, None)
    await watched(settings)


async def watched(settings: Settings) -> None:
    async with asyncio.timeout(60):
        async for _ in watch_recalculation(settings, JOURNEY):
            pass


async def until_folded_under(database: Database, version: int) -> None:
    async with asyncio.timeout(30):
        while await database[PROGRESSES].count_documents({"processing.folded": {"$ne": version}}):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)


async def the_work(database: Database) -> Any:
    return await database[RECALCULATIONS].find_one({"_id": JOURNEY})


async def until(holds: Any, database: Database) -> None:
    async with asyncio.timeout(60):
        while not holds(await the_work(database)):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)


async def status_of(settings: Settings) -> Mapping[str, Any]:
    async with open_stores(settings) as stores:
        [shown] = await stores.recalculations.shown([{"_id": JOURNEY}])
    found: Mapping[str, Any] = shown["recalculateStatus"]
    return found


async def until_not_in_progress(settings: Settings) -> None:
    async with asyncio.timeout(settings.lease + 10):
        while (await status_of(settings))["inProgress"]:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.1)


async def revisions_have_no_gap(settings: Settings, database: Database) -> None:
    seen: dict[str, set[int]] = {}
    for event in await read_all(settings, settings.progress_topic):
        seen.setdefault(event.key.decode(), set()).add(int(header(event, "ce_sequence") or 0))
    for key, document in (await documents_of(database)).items():
        assert seen.get(str(key), set()) == set(range(1, document["processing"]["revision"] + 1))
