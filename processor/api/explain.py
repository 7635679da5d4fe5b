"""`POST /api/explain`: why a statement counts towards a waypoint, or why not, clause by clause."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from bson import ObjectId
from fastapi import APIRouter, Request, Response

from processor.api.bodies import json_body
from processor.api.callers import Reader
from processor.api.openapi import EXPLAIN_BODY, EXPLANATION, PROBLEMS
from processor.api.rendering import Json
from processor.api.within import Here
from processor.core.decode import Tenancy, decode
from processor.core.explain import Explaining, progress_ids
from processor.core.explain import explain as explained
from processor.core.explained import render_explanation
from processor.core.journey import InvalidJourney, JourneyRules, compile_journey
from processor.core.queries import JOURNEY
from processor.core.records import Record, Rejected, StatementRecord
from processor.errors import InvalidInput, NotFound
from schemas.ids import parse_object_id
from schemas.rendering import rendered

router = APIRouter(prefix="/api", tags=["explain"], responses=PROBLEMS)


@router.post("/explain", operation_id="explain", responses=EXPLANATION, openapi_extra=EXPLAIN_BODY)
async def explain(request: Request, caller: Reader, here: Here) -> Response:
    """Say for each waypoint, clause by clause, what was asked, what was found, and the verdict.

    `journey` and `statement` are the things themselves, or their ids. The verdicts come from the code that matches
    the stream; `obstacles` says what else stands in the way, `progress` where the statement stands in the learner's
    progress.
    """
    body = await json_body(request, here.body_limit)
    rules = await _rules(body.get("journey"), caller, here)
    record = await _record(body.get("statement"), caller, here)
    keys = progress_ids(rules, record, here.identification)
    by = Explaining(
        now=here.clock.now(),
        identification=here.identification,
        policy=here.folding,
        progresses=await here.queries.progresses(caller.organisation, keys),
    )
    return Json(render_explanation(explained(rules, record, by)))


async def _rules(journey: Any, caller: Reader, here: Here) -> JourneyRules:
    if isinstance(journey, dict) and "$oid" not in journey:
        document: Mapping[str, Any] = _whole(journey, caller.organisation)
    else:
        stored = await here.queries.one(JOURNEY, caller.organisation, _id(journey, "journey"))
        if stored is None:
            raise NotFound(f"there is no journey {journey}")
        document = stored
    try:
        return compile_journey(document)
    except InvalidJourney as error:
        raise InvalidInput(f"journey: {error}") from None


async def _record(statement: Any, caller: Reader, here: Here) -> StatementRecord:
    if not isinstance(statement, dict) or "$oid" in statement:
        stored = await here.queries.statement(caller.organisation, _statement_id(statement))
        if stored is None:
            raise NotFound(f"there is no statement {statement}")
        statement = rendered(dict(stored))
    received = int(here.clock.now().timestamp() * 1000)
    try:
        record = Record("explain", 0, 0, received, orjson.dumps(statement, default=str))
    except orjson.JSONEncodeError as error:  # nested too deeply
        raise InvalidInput(f"statement: {error}") from None
    found = decode(record, Tenancy(caller.organisation))
    if len(found) != 1:
        raise InvalidInput(f"statement: one statement, not {len(found)}")
    if isinstance(found[0], Rejected):
        raise InvalidInput(f"statement: {found[0].message}")
    return found[0]


def _whole(journey: dict[str, Any], organisation: ObjectId) -> dict[str, Any]:
    """A journey that is only tried needs no ids, and is the caller's."""
    waypoints = journey.get("waypoints")
    if isinstance(waypoints, list):
        waypoints = [{"_id": ObjectId(), **it} if isinstance(it, dict) else it for it in waypoints]
    return {"_id": ObjectId(), **journey, "organisation": organisation, "waypoints": waypoints}


def _id(value: Any, what: str) -> ObjectId:
    try:
        return parse_object_id(value)
    except ValueError as error:
        raise InvalidInput(f"{what}: {error}") from None


def _statement_id(value: Any) -> ObjectId | str:
    try:
        return str(UUID(value))
    except (ValueError, TypeError, AttributeError):
        return _id(value, "statement")
