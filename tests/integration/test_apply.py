"""`journeys apply`, on a real MongoDB: what is saved, and under which version."""

from collections.abc import Mapping
from typing import Any

import pytest

from processor.operating import apply_journeys
from processor.settings import Settings
from processor.store.connect import JOURNEYS, Database
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
