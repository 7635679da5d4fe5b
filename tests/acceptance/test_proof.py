"""The judge of the kill and chaos tests sees what is wrong when something is."""

import asyncio
from typing import Any

import orjson
import pytest

from processor.app import Part, run_processor
from processor.core.journey import JourneyRules, compile_journey
from processor.opening import open_stores
from processor.operating import create_all_topics
from processor.settings import Settings
from processor.store.connect import PROGRESSES, STATEMENTS, Database
from schemas.journey import journey_document, journey_from, with_ids
from tests.acceptance.proof import verdict_on
from tests.acceptance.world import produce, until_quiet
from tests.builders import a_statement

POISON = b"not json"
LETTERS = 2


@pytest.fixture
async def rules(settings: Settings, mongo_database: Database) -> list[JourneyRules]:
    """A processor has done three statements and the poison, and is gone."""
    journey = with_ids(
        {
            "organisation": settings.default_organisation,
            "description": "a journey",
            "isActive": True,
            "waypoints": [{"conditions": {"statement.verb.id": "http://example.org/did"}, "count": 2}],
        }
    )
    await create_all_topics(settings)
    async with open_stores(settings) as stores:
        await stores.catalog.save([journey_document(journey_from(journey))])
    await produce(settings, [a_statement(1), a_statement(2), a_statement(1), POISON, POISON])
    stop = asyncio.Event()
    running = asyncio.create_task(run_processor(settings, tuple(Part), stop))
    await until_quiet(settings)
    stop.set()
    await running
    return [compile_journey(journey)]


async def test_what_is_well_is_found_well(
    settings: Settings, mongo_database: Database, rules: list[JourneyRules]
) -> None:
    verdict = await verdict_on(settings, mongo_database, rules, {POISON})
    assert (verdict.lost, verdict.doubled) == ([], [])
    assert (verdict.statements, verdict.documents, verdict.letters) == (3, 1, LETTERS)


async def test_what_is_wrong_is_found(settings: Settings, mongo_database: Database, rules: list[JourneyRules]) -> None:
    progresses = mongo_database[PROGRESSES]
    whole = await progresses.find_one()
    assert whole is not None
    [counted] = whole["completions"][0]["waypoints"]
    listed = f"completions.0.waypoints.{counted}.statements"

    async def tampered(update: dict[str, Any]) -> tuple[list[str], list[str]]:
        await progresses.update_one({}, update)
        verdict = await verdict_on(settings, mongo_database, rules, {POISON})
        await progresses.replace_one({}, whole)
        return verdict.lost, verdict.doubled

    entry = whole["completions"][0]["waypoints"][counted]["statements"][0]
    for update, is_lost in (
        ({"$pop": {listed: 1}}, True),
        ({"$push": {listed: entry}}, False),
        ({"$set": {"completions.0.isCompleted": False}}, True),
        ({"$set": {f"pendingProgress.{counted}.statements": [entry]}}, True),
        ({"$inc": {"processing.revision": 1}}, True),
    ):
        lost, doubled = await tampered(update)
        assert lost if is_lost else doubled, update

    await mongo_database[STATEMENTS].delete_one({})
    await produce(settings, [a_statement(3), orjson.dumps(a_statement(4)), b"never parked"])
    verdict = await verdict_on(settings, mongo_database, rules, {POISON, b"never parked"})
    kinds = {line.split()[0] for line in verdict.lost}
    assert {"statement", "poison"} <= kinds
