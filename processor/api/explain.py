"""`POST /api/explain`: why a statement counts towards a waypoint, or why not, clause by clause."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from bson import ObjectId
from fastapi import APIRouter, Request, Response

from processor.api.bodies import json_body
from processor.api.callers import Reader
from processor.api.logins import Caller
from processor.api.openapi import EXPLAIN_BODY, EXPLANATION, PROBLEMS
from processor.api.rendering import Json
from processor.api.within import Here
from processor.core.decode import Tenancy, decode
from processor.core.explain import EFFORT, Explaining, effort_of, progress_ids
from processor.core.explain import explain as explained
from processor.core.explained import render_explanation
from processor.core.journey import InvalidJourney, JourneyRules, compile_journey
from processor.core.queries import JOURNEY
from processor.core.records import Record, Rejected, StatementRecord
from processor.errors import InvalidInput, NotFound
from processor.services.authoring import identified
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
    journey = await _journey(body.get("journey"), caller, here)
    statement = await _statement(body.get("statement"), caller, here)
    now = here.clock.now()
    async with here.compiling:
        rules, record = await asyncio.to_thread(_read, journey, statement, caller, now)
    keys = progress_ids(rules, record, here.identification)
    by = Explaining(
        now=now,
        identification=here.identification,
        policy=here.folding,
        progresses=await here.queries.progresses(caller.organisation, keys),
    )
    async with here.compiling:
        return await asyncio.to_thread(_answer, rules, record, by)


async def _journey(journey: Any, caller: Reader, here: Here) -> Mapping[str, Any]:
    if isinstance(journey, dict) and "$oid" not in journey:
        return _whole(journey, caller.organisation)
    stored = await here.queries.one(JOURNEY, caller.organisation, _id(journey, "journey"))
    if stored is None:
        raise NotFound(f"there is no journey {journey}")
    return stored


async def _statement(statement: Any, caller: Reader, here: Here) -> Mapping[str, Any]:
    if isinstance(statement, dict) and "$oid" not in statement:
        return statement
    stored = await here.queries.statement(caller.organisation, _statement_id(statement))
    if stored is None:
        raise NotFound(f"there is no statement {statement}")
    return stored


def _read(
    journey: Mapping[str, Any], statement: Mapping[str, Any], caller: Caller, now: datetime
) -> tuple[JourneyRules, StatementRecord]:
    """Compile and decode, beside the event loop: a second for a journey full of expressions."""
    try:
        rules = compile_journey(journey)
    except InvalidJourney as error:
        raise InvalidInput(f"journey: {error}") from None
    try:
        value = orjson.dumps(rendered(dict(statement)), default=str)
    except (orjson.JSONEncodeError, RecursionError) as error:  # nested too deeply
        raise InvalidInput(f"statement: {error}") from None
    found = decode(Record("explain", 0, 0, int(now.timestamp() * 1000), value), Tenancy(caller.organisation))
    if len(found) != 1:
        raise InvalidInput(f"statement: one statement, not {len(found)}")
    if isinstance(found[0], Rejected):
        raise InvalidInput(f"statement: {found[0].message}")
    return rules, found[0]


def _answer(rules: JourneyRules, record: StatementRecord, by: Explaining) -> Response:
    """Explain and write, beside the event loop. Strangers choose how much there is to do: it has a limit."""
    if effort_of(rules, record, by) > EFFORT:
        raise InvalidInput(
            f"so many clauses, and so many values in the statement, take more than {EFFORT} comparisons: give the "
            "journey with fewer waypoints at a time, or explain it with the command"
        )
    return Json(render_explanation(explained(rules, record, by)))


def _whole(journey: dict[str, Any], organisation: ObjectId) -> dict[str, Any]:
    """A journey that is only tried needs no ids, and is the caller's."""
    return {"_id": ObjectId(), **identified(journey), "organisation": organisation}


def _id(value: Any, what: str) -> ObjectId:
    try:
        return parse_object_id(value)
    except ValueError as error:
        raise InvalidInput(f"{what}: {error}") from None


def _statement_id(value: Any) -> ObjectId | str:
    try:
        UUID(value)
    except (ValueError, TypeError, AttributeError):
        return _id(value, "statement")
    return str(value)
