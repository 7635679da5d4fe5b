"""`POST PUT PATCH DELETE /api/v2/journey[/{id}]`: journeys, written. A saved one is live within seconds."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from processor.api.bodies import json_body
from processor.api.callers import Writer
from processor.api.openapi import JOURNEY_BODY, PROBLEMS, one_of
from processor.api.parameters import Key, key_from
from processor.api.rendering import Json, shown_journey
from processor.api.within import Here
from processor.core.queries import JOURNEY
from processor.errors import InvalidInput

router = APIRouter(prefix="/api/v2/journey", tags=["REST"], responses=PROBLEMS)


@router.post(
    "",
    operation_id="createJourney",
    status_code=HTTPStatus.CREATED,
    responses=one_of(JOURNEY, HTTPStatus.CREATED),
    openapi_extra=JOURNEY_BODY,
)
async def create(request: Request, caller: Writer, here: Here) -> Response:
    """Save a new journey: it gets an id, and so does each waypoint without one.

    Conditions are checked; the answer to one that cannot run names the path of each fault.
    """
    stored = await here.authoring.create(caller.organisation, await json_body(request, here.body_limit))
    return Json(shown_journey(stored), HTTPStatus.CREATED)


@router.put("/{key}", operation_id="putJourney", responses=one_of(JOURNEY), openapi_extra=JOURNEY_BODY)
@router.patch("/{key}", operation_id="patchJourney", responses=one_of(JOURNEY), openapi_extra=JOURNEY_BODY)
@router.post("/{key}", operation_id="changeJourney", responses=one_of(JOURNEY), openapi_extra=JOURNEY_BODY)
async def change(key: Key, request: Request, caller: Writer, here: Here) -> Response:
    """Merge the body into a journey: objects are merged, lists are replaced whole. All three methods do the same.

    A field of a journey that is null is left as it is. `version` grows when waypoints, sequence, repeat, trackBy or
    sources change.
    """
    written = await json_body(request, here.body_limit)
    changed = await here.authoring.change(caller.organisation, key_from(key), written)
    current = await here.queries.one(JOURNEY, caller.organisation, changed["_id"])
    return Json(shown_journey(current or changed))


@router.delete("/{key}", operation_id="deleteJourney", status_code=HTTPStatus.NO_CONTENT)
async def remove(key: Key, caller: Writer, here: Here) -> Response:
    """Remove a journey. Its progress documents stay."""
    await here.authoring.remove(caller.organisation, key_from(key))
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.delete("", include_in_schema=False)
async def remove_all(caller: Writer) -> Response:  # noqa: ARG001 - asked for, so that strangers get 401
    """Refuse."""
    raise InvalidInput("API does not allow bulk deletions")
