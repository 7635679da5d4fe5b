"""Recalculation over HTTP, on a running process: asked for, watched, done, cancelled."""

from pathlib import Path
from typing import Any

import httpx

from processor.operating import apply_journeys, create_all_topics
from processor.settings import Settings
from processor.store.connect import STATEMENTS, Database
from schemas.rendering import rendered
from tests.acceptance.serving import a_login, serving, until
from tests.acceptance.world import produce, until_quiet
from tests.builders import JOURNEY, WAYPOINTS, a_reference
from tests.simulation.recalculating import a_stored, a_waypoint, the_journey


async def test_a_changed_condition_is_recalculated(
    settings: Settings, mongo_database: Database, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"journeys_poll": 0.2})
    await create_all_topics(settings)
    await apply_journeys(settings, [the_journey(a_waypoint(0, "a", count=2))])
    statements = [a_stored(1, "a"), a_stored(2, "b")]
    await mongo_database[STATEMENTS].insert_many(statements)  # as the LRS has them
    async with serving(settings, tmp_path / "run.log", "run") as http:
        http.auth = await a_login(mongo_database)
        await produce(settings, map(rendered, statements))
        await until_quiet(settings)
        assert await counted(http) == [str(a_reference(1))]

        [waypoint] = (await http.get(f"/api/v2/journey/{JOURNEY}")).json()["waypoints"]
        changed = {"waypoints": [waypoint | {"conditions": {"statement.verb.id": "http://example.org/b"}}]}
        assert (await http.patch(f"/api/v2/journey/{JOURNEY}", json=changed)).json()["version"] == 2
        started = await http.post("/api/recalculatejourney", params={"journeyId": str(JOURNEY)})
        assert started.status_code == 200, started.text
        assert started.json()["journey"]["recalculateStatus"]["inProgress"] is True

        async def has_ended() -> bool:
            journey: dict[str, Any] = (await http.get(f"/api/v2/journey/{JOURNEY}")).json()
            return journey["recalculateStatus"]["inProgress"] is False

        await until(has_ended, "the recalculation ends")
        await until_quiet(settings)
        assert await counted(http) == [str(a_reference(2))]
        cancelled = await http.post("/api/cancelrecalculatejourney", params={"journeyId": str(JOURNEY)})
        assert cancelled.status_code == 200
        assert cancelled.json()["journey"]["recalculateStatus"]["inProgress"] is False


async def counted(http: httpx.AsyncClient) -> list[str]:
    """The statements that count in the one document."""
    [edge] = (await http.get("/api/connection/journeyProgress")).json()["edges"]
    [attempt] = edge["node"]["completions"]
    return [entry["statement"] for entry in attempt["waypoints"][WAYPOINTS[0]]["statements"]]
