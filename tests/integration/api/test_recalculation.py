"""The two routes of recalculation, on a recalculation that only takes notes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
from bson import ObjectId

from processor.api.application import create_application
from processor.errors import InvalidInput, NotFound
from tests.builders import ORGANISATION
from tests.integration.api.world import SECRET, Api, a_client, a_stored_journey


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


async def test_without_recalculation_there_are_no_such_routes(api: Api) -> None:
    app = create_application(replace(api.app.state.within, recalculations=None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as http:
        answer = await http.post("/api/recalculatejourney", params={"journeyId": "1" * 24}, auth=("mine", SECRET))
        assert answer.status_code == 404
        assert "/api/recalculatejourney" not in app.openapi()["paths"]
