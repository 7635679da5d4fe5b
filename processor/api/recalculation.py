"""`POST /api/recalculatejourney` and `/api/cancelrecalculatejourney`: start and cancel a recalculation."""

from typing import Annotated

from bson import ObjectId
from fastapi import APIRouter, Depends, Query, Response

from processor.api.callers import Writer
from processor.api.openapi import PROBLEMS, journey_alone
from processor.api.parameters import once
from processor.api.rendering import Json, shown_journey
from processor.api.within import Here
from processor.errors import InvalidInput
from schemas.ids import parse_object_id

router = APIRouter(prefix="/api", tags=["recalculation"], responses=PROBLEMS, dependencies=[Depends(once)])

JourneyId = Annotated[str, Query(alias="journeyId", description="Id of the journey, 24 hex digits.")]


@router.post("/recalculatejourney", operation_id="recalculateJourney", responses=journey_alone())
async def start(journey: JourneyId, caller: Writer, here: Here) -> Response:
    """Read the statements again and fold them under the journey as it is now."""
    document = await here.recalculations.start(_journey(journey), caller.organisation, caller.client)
    return Json({"journey": shown_journey(document)})


@router.post("/cancelrecalculatejourney", operation_id="cancelRecalculateJourney", responses=journey_alone())
async def cancel(journey: JourneyId, caller: Writer, here: Here) -> Response:
    """Stop a recalculation. What it has done stays."""
    document = await here.recalculations.cancel(_journey(journey), caller.organisation, caller.client)
    return Json({"journey": shown_journey(document)})


def _journey(text: str) -> ObjectId:
    try:
        return parse_object_id(text)
    except ValueError as error:
        raise InvalidInput(f"journeyId: {error}") from None
