"""The interfaces of `run` from outside: the seed's example, and a journey that is live once it is saved."""

from pathlib import Path
from typing import Any

import httpx

from processor.operating import apply_journeys, create_all_topics
from processor.settings import Settings
from processor.store.connect import Database
from schemas.journey import with_ids
from tests.acceptance.serving import a_login, serving, until
from tests.acceptance.world import produce, until_quiet
from tests.builders import a_statement
from tests.golden import ACTOR, EXPECTED, JOURNEY, JOURNEY_DOCUMENT, LAST, STATEMENT_DOCUMENTS


async def test_the_seeds_example_is_served_exactly_and_a_saved_journey_is_live(
    settings: Settings, mongo_database: Database, tmp_path: Path
) -> None:
    await create_all_topics(settings)
    await apply_journeys(settings, [with_ids(JOURNEY_DOCUMENT)])
    async with serving(settings, tmp_path / "run.log", "run") as http:
        http.auth = await a_login(mongo_database)
        await produce(settings, STATEMENT_DOCUMENTS)
        await until_quiet(settings)
        await the_example_is_served(http)
        await a_journey_is_live_once_saved(http, settings)
        assert "journey_progress_records_total" in (await http.get("/metrics")).text
        assert (await http.get("/health/live")).json() == {"status": "ok", "faults": []}


async def the_example_is_served(http: httpx.AsyncClient) -> None:
    page = (await http.get("/api/connection/journeyprogress", params={"filter": f'{{"journey": "{JOURNEY}"}}'})).json()
    assert set(page) == {"edges", "pageInfo"}
    assert set(page["pageInfo"]) == {"startCursor", "endCursor", "hasNextPage", "hasPreviousPage"}
    [edge] = page["edges"]
    assert set(edge) == {"cursor", "node"}
    node = edge["node"]
    made = {"_id", "createdAt", "updatedAt", "lockKey", "owner", "isCompleted", "completedAt"}
    assert {name: node[name] for name in node if name not in made} == EXPECTED
    assert set(node) == set(EXPECTED) | made
    assert node["owner"] == {"trackBy": "actor", "ident": ACTOR}
    assert (node["isCompleted"], node["completedAt"]) == (True, "2017-09-20T09:56:02.443Z")
    assert (await http.get(f"/api/v2/journeyProgress/{node['_id']}")).json() == node
    asked = {"query": f'{{"completions.waypoints.{LAST}.completedAt": {{"$gte": "2017-09-20T09:56:02.443Z"}}}}'}
    assert (await http.get("/api/v2/journeyProgress", params=asked)).json() == [node]
    assert (await http.get("/api/v2/journeyProgress/count", params=asked)).json() == {"count": 1}


async def a_journey_is_live_once_saved(http: httpx.AsyncClient, settings: Settings) -> None:
    conditions = {"statement.verb.id": "http://example.org/did"}
    made = await http.post("/api/v2/journey", json={"isActive": True, "waypoints": [{"conditions": conditions}]})
    assert made.status_code == 201
    key = made.json()["_id"]
    asked = {"filter": f'{{"journey": "{key}"}}'}

    async def nodes() -> list[Any]:
        edges = (await http.get("/api/connection/journeyProgress", params=asked)).json()["edges"]
        return [edge["node"] for edge in edges]

    sent = 0

    async def is_counted() -> bool:
        nonlocal sent
        sent += 1
        await produce(settings, [a_statement(sent)])
        return bool(await nodes())

    await until(is_counted, "the journey is live")
    await until_quiet(settings)
    [node] = await nodes()
    assert node["isCompleted"] is True

    # Two statements are asked for from now on: the finished attempt keeps its date, sealed under the old version.
    changed = await http.patch(
        f"/api/v2/journey/{key}",
        json={"isRepeatable": True, "waypoints": [made.json()["waypoints"][0] | {"count": 2}]},
    )
    assert changed.json()["version"] == 2

    async def is_open() -> bool:
        nonlocal sent
        sent += 1
        await produce(settings, [a_statement(sent, timestamp="2026-02-01T00:00:00Z")])
        return len((await nodes())[0]["completions"]) > 1

    await until(is_open, "the journey is repeatable")
    [now] = await nodes()
    assert now["completedAt"] == node["completedAt"]
    assert now["completions"][0] == node["completions"][0]
