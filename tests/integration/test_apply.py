"""`journeys apply`, on a real MongoDB: what is saved, and under which version."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId

from processor.core.revision import known_journey
from processor.operating import apply_journeys
from processor.settings import Settings
from processor.store.connect import JOURNEYS, PROGRESSES, Database
from processor.store.journeys import MongoJourneyWriter
from schemas.journey import with_ids
from tests.builders import ORGANISATION


def a_file(conditions: Any, **changes: Any) -> dict[str, Any]:
    """What somebody has written by hand, without ids."""
    return with_ids(
        {
            "organisation": ORGANISATION,
            "description": "Onboarding",
            "isActive": True,
            "waypoints": [{"conditions": {"a": conditions}}],
            **changes,
        }
    )


async def applied(settings: Settings, document: Mapping[str, Any]) -> str:
    [outcome] = (await apply_journeys(settings, [document])).values()
    return outcome


async def stored(database: Database) -> dict[str, Any]:
    [journey] = await database[JOURNEYS].find().to_list()
    return journey


@pytest.mark.parametrize(("before", "after"), [(1, True), (False, 0), ({"b": 1, "c": 2}, {"c": 2, "b": 1})])
async def test_what_python_takes_for_the_same_is_saved(
    settings: Settings, mongo_database: Database, before: Any, after: Any
) -> None:
    await applied(settings, a_file(before))
    assert await applied(settings, a_file(before)) == "unchanged"

    assert await applied(settings, a_file(after)) == "updated"
    assert (await stored(mongo_database))["version"] == 2

    assert await applied(settings, a_file(after, colour=before)) == "updated"
    assert await applied(settings, a_file(after, colour=after)) == "updated"
    journey = await stored(mongo_database)
    assert (journey["version"], repr(journey["colour"])) == (2, repr(after))


async def test_what_bson_rounds_or_completes_is_no_change(settings: Settings, mongo_database: Database) -> None:
    written = {
        "due": datetime.fromisoformat("2026-01-01T12:00"),
        "seen": datetime(2026, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC),
    }
    assert await applied(settings, a_file(1, **written)) == "created"
    assert await applied(settings, a_file(1, **written)) == "unchanged"


@pytest.mark.parametrize("is_there", [True, False], ids=["changed", "made"])
async def test_what_somebody_does_meanwhile_is_not_written_over(
    settings: Settings, mongo_database: Database, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """Two journeys under one version, both of which progress was folded under, could not be told apart."""
    if is_there:
        await applied(settings, a_file(1))
    replace = MongoJourneyWriter.replace

    async def late(self: MongoJourneyWriter, journeys: Any) -> bool:
        monkeypatch.setattr(MongoJourneyWriter, "replace", replace)
        await applied(settings, a_file(2))
        return await replace(self, journeys)

    monkeypatch.setattr(MongoJourneyWriter, "replace", late)
    assert await applied(settings, a_file(3)) == "updated"
    assert (await stored(mongo_database))["version"] == 2 + is_there
    assert "3" in (await stored(mongo_database))["waypoints"][0]["conditions"]


@pytest.mark.parametrize(
    ("documents", "version"),
    [
        ([], 1),
        ([{"folded": 2}, {"folded": 5, "version": 4}, {"folded": "9"}], 6),
        ([{"folded": 5}, {"folded": 5, "version": 7, "waiting": True}], 8),
        ([{"folded": 5}, {"version": 6, "due": True}, {"version": 7, "lease": True}], 8),
        ([{"folded": 5}, {"folded": 5, "version": 6, "replay": [{"version": 6}]}], 7),
    ],
)
async def test_a_journey_that_was_deleted_goes_on_above_what_its_documents_know(
    settings: Settings, mongo_database: Database, documents: list[dict[str, Any]], version: int
) -> None:
    document = a_file(1)
    others = {"journey": ObjectId(), "processing": {"folded": 99, "version": 99, "due": True}}
    mine = [{"journey": document["_id"], "processing": it} for it in documents]
    await mongo_database[PROGRESSES].insert_many([others, *mine])
    assert await applied(settings, document) == "created"
    assert (await stored(mongo_database))["version"] == version
    assert await applied(settings, document) == "unchanged"


async def test_the_version_of_documents_at_rest_is_found_by_index(settings: Settings, mongo_database: Database) -> None:
    key = a_file(1)["_id"]
    await mongo_database[PROGRESSES].insert_many(
        [{"journey": key, "processing": {"folded": 5, "version": 5}} for _ in range(200)]
    )
    await mongo_database.command("profile", 2)
    assert await MongoJourneyWriter(mongo_database).last_version(key) == 5
    await mongo_database.command("profile", 0)
    looked = mongo_database["system.profile"].find({"ns": f"{mongo_database.name}.{PROGRESSES}"})
    assert sum([operation["docsExamined"] async for operation in looked]) <= 1


@pytest.mark.parametrize(
    ("broken", "version"),
    [
        ({"version": 0}, 6),
        ({"version": "3"}, 6),
        ({"version": 7, "createdAt": "yesterday"}, 7),
        ({"version": 7, "trackBy": "person"}, 8),
        ({"version": True, "updatedAt": {}, "trackBy": "person"}, 6),
    ],
    ids=str,
)
async def test_a_journey_that_is_broken_where_it_is_stored_is_mended(
    settings: Settings, mongo_database: Database, broken: dict[str, Any], version: int
) -> None:
    document = a_file(1)
    await mongo_database[PROGRESSES].insert_one({"journey": document["_id"], "processing": {"folded": 5}})
    await applied(settings, document)
    await mongo_database[JOURNEYS].update_one({}, {"$set": broken})
    assert await applied(settings, document) == "updated"
    journey = await stored(mongo_database)
    assert known_journey(journey) is not None
    assert journey["version"] == version
