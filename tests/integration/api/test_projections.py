"""Projections: another field under any name, and whatever else a stranger thinks of."""

import random
from typing import Any

import pytest

from processor.core.recalculation import EMPTY_STATUS
from tests.integration.api.world import Api, a_progress, a_stored_journey

PATHS = (
    *("_id", "organisation", "owner", "owner.trackBy", "version", "description", "updatedAt", "x", "x.y", "_id.x"),
    *("recalculateStatus", "recalculateStatus.totalCount", "waypoints", "waypoints._id", "waypoints.conditions"),
    *("sources", "outcomes", "pendingProgress", "completions", "completions.waypoints", "isCompleted", "journey"),
)


@pytest.mark.parametrize(
    ("project", "node"),
    [
        ({"_id": "$version"}, {"_id": 1}),
        ({"_id": 0, "recalculateStatus": "$version"}, {"recalculateStatus": 1}),
        ({"_id": 0, "recalculateStatus": "$nothing"}, {}),
        ({"_id": 0, "recalculateStatus.x": "$version"}, {"recalculateStatus": {"x": 1}}),
        ({"_id": 0, "recalculateStatus": 1}, {"recalculateStatus": dict(EMPTY_STATUS)}),
        ({"_id": 0, "waypoints": "$trackBy"}, {"waypoints": "actor"}),
        ({"_id": 0, "waypoints": "$waypoints.order"}, {"waypoints": [0]}),
    ],
    ids=str,
)
async def test_projections_of_journeys(api: Api, project: dict[str, Any], node: dict[str, Any]) -> None:
    await api.has_journeys(a_stored_journey() | {"recalculateStatus": "broken", "waypoints": [{"order": 0}]})
    [edge] = (await api.get("/api/connection/journey", project=project)).json()["edges"]
    assert edge["node"] == node
    assert (await api.get("/api/v2/journey", select=project)).json() == [node]


@pytest.mark.parametrize(
    ("hidden", "status"),
    [
        (["waypoints"], dict(EMPTY_STATUS)),
        (["recalculateStatus"], None),
        (["recalculateStatus.totalCount"], {name: it for name, it in EMPTY_STATUS.items() if name != "totalCount"}),
        (["recalculateStatus.x"], dict(EMPTY_STATUS)),
    ],
    ids=str,
)
async def test_who_hides_a_field_of_the_status_sees_the_others_as_they_stand(
    api: Api, hidden: list[str], status: Any
) -> None:
    """Not as an imported database has them: nobody is at work there."""
    await api.has_journeys(a_stored_journey() | {"recalculateStatus": {"inProgress": True, "totalCount": 7}})
    project = dict.fromkeys(hidden, 0)
    [edge] = (await api.get("/api/connection/journey", project=project)).json()["edges"]
    assert edge["node"].get("recalculateStatus") == status
    select = ",".join(f"-{name}" for name in hidden)
    assert [it.get("recalculateStatus") for it in (await api.get("/api/v2/journey", select=select)).json()] == [status]


@pytest.mark.parametrize("seed", range(3))
async def test_fuzzed_projections_are_answered(api: Api, seed: int) -> None:
    dice = random.Random(seed)
    await api.has_progress(a_progress(1), a_progress(2, completions="broken", pendingProgress=[], owner=5))
    await api.has_journeys(a_stored_journey(), a_stored_journey() | {"waypoints": 5, "recalculateStatus": ["broken"]})
    statuses = set()
    for _ in range(200):
        wishes = dice.choice(([1], [0], [1, "$"], ["$"], [0, 1, "$"]))
        project = {
            path: f"${dice.choice(PATHS)}" if (wish := dice.choice(wishes)) == "$" else wish
            for path in dice.sample(PATHS, dice.randrange(1, 4))
        }
        model, sort = dice.choice(("journey", "journeyProgress")), dice.choice(("_id", "updatedAt", "x"))
        page = await api.get(f"/api/connection/{model}", project=project, sort={sort: 1})
        listed = await api.get(f"/api/v2/{model}", select=project, sort=sort)
        assert (page.status_code, listed.status_code) in ((200, 200), (400, 400)), (project, page.text, listed.text)
        statuses.add(page.status_code)
    assert statuses == {200, 400}


@pytest.mark.parametrize("model", ["journey", "journeyProgress"])
@pytest.mark.parametrize("name", ["work", "place", "attempts.x", "x"])
async def test_what_the_server_puts_beside_a_document_is_nobodys_to_ask_for(api: Api, model: str, name: str) -> None:
    path = f"\N{MIDDLE DOT}{name}"
    questions: list[dict[str, Any]] = [
        *({"project": project} for project in ({"x": f"${path}"}, {path: 1}, {path: 0}, {"x": {"y": f"${path}"}})),
        *({"sort": {path: 1}}, {"filter": {path: 1}}, {"filter": {"$nor": [{path: {"$exists": True}}]}}),
    ]
    for asked in questions:
        answer = await api.get(f"/api/connection/{model}", **asked)
        assert answer.status_code == 400, asked
        assert f"is not a field of {model}" in answer.json()["message"]
    rest: list[dict[str, Any]] = [{"select": path}, {"sort": path}, {"distinct": path}, {"query": {path: "~x"}}]
    for asked in rest:
        assert (await api.get(f"/api/v2/{model}", **asked)).status_code == 400, asked
