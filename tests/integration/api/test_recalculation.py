"""The two routes of recalculation, on a recalculation that only takes notes."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
from bson import ObjectId

from processor.api.application import create_application
from processor.errors import InvalidInput, NotFound
from processor.store.connect import JOURNEYS
from processor.store.queries import MongoQueryReader
from processor.store.recalculations import MongoRecalculations, RecalculationPolicy
from tests.builders import ORGANISATION
from tests.integration.api.world import SECRET, Api, a_client, a_stored_journey, application
from tests.simulation.recalculating import HeldClock


class NotedRecalculations:
    """Knows one journey, and what was asked."""

    def __init__(self, journey: Mapping[str, Any]) -> None:
        self.journey = journey
        self.asked: list[tuple[str, ObjectId, ObjectId, ObjectId]] = []

    async def start(self, journey: ObjectId, organisation: ObjectId, by: ObjectId) -> Mapping[str, Any]:
        document = self._noted("start", journey, organisation, by)
        if len(self.asked) > 1:
            raise InvalidInput(f"Journey ({journey}) not available for recalculation")
        return document

    async def cancel(self, journey: ObjectId, organisation: ObjectId, by: ObjectId) -> Mapping[str, Any]:
        return self._noted("cancel", journey, organisation, by)

    def _noted(self, what: str, journey: ObjectId, organisation: ObjectId, by: ObjectId) -> Mapping[str, Any]:
        if journey != self.journey["_id"] or organisation != self.journey["organisation"]:
            raise NotFound(f"there is no journey {journey}")
        self.asked.append((what, journey, organisation, by))
        return self.journey


async def test_start_and_cancel(api: Api) -> None:
    journey = a_stored_journey(recalculateStatus={"inProgress": True})
    noted = NotedRecalculations(journey)
    app = create_application(replace(api.app.state.within, recalculations=noted))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as http:

        async def ask(path: str, key: str | None = "mine", **parameters: str) -> httpx.Response:
            request = http.build_request("POST", path, params=parameters)
            return await http.send(request, auth=httpx.BasicAuth(key, SECRET) if key else None)

        mine = str(journey["_id"])
        started = await ask("/api/RecalculateJourney", journeyId=mine)
        assert started.status_code == 200, started.text
        assert started.json()["journey"]["recalculateStatus"] == {"inProgress": True}
        assert started.json()["journey"]["waypoints"][0]["conditions"] == {
            "statement.verb.id": "http://example.org/did"
        }
        client = a_client("mine")["_id"]
        assert noted.asked == [("start", journey["_id"], ORGANISATION, client)]
        again = await ask("/api/recalculatejourney", journeyId=mine)
        assert again.status_code == 400
        assert again.json()["message"] == f"Journey ({mine}) not available for recalculation"
        assert (await ask("/api/cancelrecalculatejourney", journeyId=mine)).status_code == 200
        assert noted.asked[-1] == ("cancel", journey["_id"], ORGANISATION, client)

        for path in ("/api/recalculatejourney", "/api/cancelrecalculatejourney"):
            assert (await ask(path, journeyId="1" * 24)).status_code == 404
            assert (await ask(path, "theirs", journeyId=mine)).status_code == 404
            assert (await ask(path, journeyId="7e0b0f2d-1f0a-4e58-8f0c-3f8c2b1f5a11")).status_code == 400
            assert (await ask(path)).status_code == 400
            assert (await ask(path, None, journeyId=mine)).status_code == 401


async def test_a_journey_is_shown_with_its_recalculation_as_it_stands(api: Api) -> None:
    """The whole way: start, refused, shown, over without a sign of life, cancelled; and nothing of it to strangers."""
    clock = HeldClock()
    recalculations = MongoRecalculations(api.database, clock, RecalculationPolicy())
    queries = MongoQueryReader(api.database, api.settings.http_query_timeout, clock)
    app = application(api.settings, replace(api.interfaces, queries=queries, recalculations=recalculations))
    journey = a_stored_journey()
    await api.database[JOURNEYS].insert_one(journey)
    mine, client = str(journey["_id"]), str(a_client("mine")["_id"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as http:

        async def ask(method: str, path: str, key: str = "mine") -> httpx.Response:
            return await http.request(method, path, auth=httpx.BasicAuth(key, SECRET))

        async def selected(select: str) -> dict[str, Any]:
            shown: dict[str, Any] = (await ask("GET", f"/api/v2/journey/{mine}?select={select}")).json()
            return shown

        async def statuses() -> list[Any]:
            one = (await ask("GET", f"/api/v2/journey/{mine}")).json()
            [many] = (await ask("GET", "/api/v2/journey")).json()
            [edge] = (await ask("GET", "/api/connection/journey")).json()["edges"]
            return [it.get("recalculateStatus") for it in (one, many, edge["node"])]

        assert await statuses() == [None] * 3
        assert (await ask("POST", f"/api/recalculatejourney?journeyId={mine}", "theirs")).status_code == 404
        started = await ask("POST", f"/api/recalculatejourney?journeyId={mine}")
        assert started.status_code == 200
        status = started.json()["journey"]["recalculateStatus"]
        assert (status["inProgress"], status["pushing"], status["recalculatedByClient"]) == (True, True, client)
        assert len(status) == 10
        assert await statuses() == [status] * 3
        refused = await ask("POST", f"/api/recalculatejourney?journeyId={mine}")
        assert refused.status_code == 400
        assert refused.json()["message"] == f"Journey ({mine}) not available for recalculation"

        assert (await selected("recalculateStatus"))["recalculateStatus"] == status
        assert (await selected("-_id"))["recalculateStatus"] == status
        assert await selected("recalculateStatus.inProgress,-_id") == {"recalculateStatus": {"inProgress": True}}
        for hiding in ("description", "-recalculateStatus"):
            assert "recalculateStatus" not in await selected(hiding)

        clock.pass_(timedelta(minutes=2))
        assert await statuses() == [{**status, "inProgress": False, "pushing": False}] * 3
        for _ in range(2):
            cancelled = await ask("POST", f"/api/cancelrecalculatejourney?journeyId={mine}")
            assert cancelled.status_code == 200
            assert cancelled.json()["journey"]["recalculateStatus"]["cancelledByClient"] == client
