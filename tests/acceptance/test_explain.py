"""`explain` for a journey in the database: where a statement stands in the learner's progress."""

import asyncio
from pathlib import Path

import orjson

from processor.settings import Settings
from processor.store.connect import Database
from processor.store.journeys import MongoJourneyCatalog
from processor.store.progress import MongoProgressStore
from tests.acceptance.commands import journey_progress
from tests.builders import JOURNEY, ORGANISATION, START, a_journey, a_statement, an_append, an_item

DOCUMENT = {"_id": f"{1:024x}", "organisation": str(ORGANISATION), "statement": a_statement()}


async def test_where_a_statement_stands(settings: Settings, mongo_database: Database, tmp_path: Path) -> None:
    await MongoJourneyCatalog(mongo_database).save([a_journey(_id=JOURNEY)])
    await MongoProgressStore(mongo_database).append([an_append(an_item(1, 0))], [], START)
    statement = tmp_path / "statement.json"
    statement.write_bytes(orjson.dumps(DOCUMENT))
    told = await asyncio.to_thread(
        journey_progress, settings, "explain", "--journey", str(JOURNEY), "--statement", str(statement)
    )
    assert "pending in progress" in told.stdout, told.stderr
    assert "it counts in attempt 1" in told.stdout

    file = tmp_path / "journey.json"
    file.write_bytes(orjson.dumps(a_journey(_id=JOURNEY), default=str))
    told = await asyncio.to_thread(
        journey_progress,
        settings,
        "explain",
        "--journey",
        str(file),
        "--statement",
        "-",
        "--with-progress",
        "--json",
        stdin=statement.read_bytes(),
    )
    [standing] = orjson.loads(told.stdout)["waypoints"][0]["progress"]
    assert (standing["isNew"], standing["place"], standing["outcome"]) == (False, "pending", "counted")
