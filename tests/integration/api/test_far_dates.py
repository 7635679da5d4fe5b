"""Dates outside the years 0001 to 9999, which MongoDB holds and Python does not: shown, and paged by."""

from typing import Any

import pytest
from bson.datetime_ms import DatetimeMS

from processor.store.connect import STATEMENTS
from tests.builders import ORGANISATION, a_statement
from tests.integration.api.world import Api, a_progress, a_stored_journey

BEYOND = DatetimeMS(8_640_000_000_000_000)
SHOWN = {"$date": {"$numberLong": "8640000000000000"}}


@pytest.mark.parametrize("path", ["/api/v2/journey", "/api/connection/journey"])
@pytest.mark.parametrize("field", ["createdAt", "colour", "recalculateStatus"])
async def test_a_journey_with_one_is_shown_in_every_list(api: Api, path: str, field: str) -> None:
    value = {"recalculatedAt": BEYOND} if field == "recalculateStatus" else BEYOND
    await api.has_journeys(a_stored_journey(), a_stored_journey() | {field: value})
    answer = await api.get(path)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    nodes = [edge["node"] for edge in found["edges"]] if isinstance(found, dict) else found
    assert len(nodes) == 2
    if field != "recalculateStatus":  # that of the journey is older than what is known of its recalculation
        assert SHOWN in [node.get(field) for node in nodes]


async def test_a_journey_with_one_is_shown_and_changed_and_mended_where_only_the_server_writes(api: Api) -> None:
    fine, broken = a_stored_journey() | {"colour": BEYOND}, a_stored_journey() | {"updatedAt": BEYOND}
    await api.has_journeys(fine, broken)
    path = f"/api/v2/journey/{fine['_id']}"
    assert (await api.get(path)).json()["colour"] == SHOWN
    changed = await api.send("PATCH", path, {"description": "new"})
    assert (changed.status_code, changed.json()["colour"]) == (200, SHOWN)
    mended = await api.send("PATCH", f"/api/v2/journey/{broken['_id']}", {"description": "new"})
    assert mended.status_code == 200
    assert mended.json()["updatedAt"] != SHOWN


@pytest.mark.parametrize("direction", [1, -1])
async def test_pages_go_on_beyond_one(api: Api, direction: int) -> None:
    documents = [a_progress(number) for number in (1, 2, 3)]
    await api.has_progress(*documents[:2], documents[2] | {"updatedAt": BEYOND})
    seen: list[str] = []
    page: dict[str, Any] = {"first": 1, "sort": {"updatedAt": direction}}
    for _ in range(3):
        answer = await api.get("/api/connection/journeyProgress", **page)
        assert answer.status_code == 200, answer.text
        seen += [edge["node"]["_id"][-1] for edge in answer.json()["edges"]]
        page["after"] = answer.json()["pageInfo"]["endCursor"]
    assert seen == ["1", "2", "3"][::direction]
    assert not answer.json()["pageInfo"]["hasNextPage"]


async def test_a_statement_with_one_is_explained_or_said_to_have_no_time(api: Api) -> None:
    journey = a_stored_journey()
    await api.has_journeys(journey)
    for number, changes in enumerate(({"odd": BEYOND}, {"timestamp": BEYOND}), start=1):
        stored = {"organisation": ORGANISATION, "statement": a_statement(number), **changes}
        await api.database[STATEMENTS].insert_one(stored)
        body = {"journey": str(journey["_id"]), "statement": a_statement(number)["id"]}
        answer = await api.send("POST", "/api/explain", body)
        assert answer.status_code == (200 if "odd" in changes else 400), answer.text
    assert "years 0001 to 9999" in answer.json()["message"]
