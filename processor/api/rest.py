"""`GET /api/v2/{model}[/count|/{id}]`: Learning Locker's REST interface, read."""

from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from processor.api.callers import Reader
from processor.api.openapi import COUNT, PROBLEMS, list_of, one_of
from processor.api.parameters import FindParameters, Key, compiled, key_from, once, selection
from processor.api.rendering import Json, shown, shown_value
from processor.api.within import Here
from processor.core.queries import JOURNEY, PROGRESS, Model
from processor.errors import InvalidInput, NotFound

router = APIRouter(prefix="/api/v2", tags=["REST"], responses=PROBLEMS, dependencies=[Depends(once)])

LIST_BYTES = 64_000_000
"""What a list may take as stored, or as selected; it is refused, not cut: who sets a limit wants that many."""

Asked = Annotated[FindParameters, Query()]
Select = Annotated[str | None, Query(description="Names of fields, or JSON; with a minus: all but these.")]


@router.get("/journeyProgress", operation_id="listProgress", responses=list_of(PROGRESS))
async def progress_list(asked: Asked, caller: Reader, here: Here) -> Response:
    """Return progress documents, or the different values of a field."""
    return await _list(PROGRESS, asked, caller, here)


@router.get("/journeyProgress/count", operation_id="countProgress", responses=COUNT)
async def progress_count(asked: Asked, caller: Reader, here: Here) -> Response:
    """Count progress documents."""
    return await _count(PROGRESS, asked, caller, here)


@router.get("/journeyProgress/{key}", operation_id="getProgress", responses=one_of(PROGRESS))
async def progress(key: Key, caller: Reader, here: Here, select: Select = None) -> Response:
    """Return one progress document."""
    return await _one(PROGRESS, key, select, caller, here)


@router.get("/journey", operation_id="listJourneys", responses=list_of(JOURNEY))
async def journey_list(asked: Asked, caller: Reader, here: Here) -> Response:
    """Return journeys, or the different values of a field."""
    return await _list(JOURNEY, asked, caller, here)


@router.get("/journey/count", operation_id="countJourneys", responses=COUNT)
async def journey_count(asked: Asked, caller: Reader, here: Here) -> Response:
    """Count journeys."""
    return await _count(JOURNEY, asked, caller, here)


@router.get("/journey/{key}", operation_id="getJourney", responses=one_of(JOURNEY))
async def journey(key: Key, caller: Reader, here: Here, select: Select = None) -> Response:
    """Return one journey."""
    return await _one(JOURNEY, key, select, caller, here)


async def _list(model: Model, asked: FindParameters, caller: Reader, here: Here) -> Response:
    query = await compiled(asked, partial(asked.asked, model, here.page_limit), here)
    if asked.distinct:
        values = await here.queries.distinct(model, caller.organisation, asked.distinct, query)
        return Json([shown_value(value) for value in values])
    found = await here.queries.find(model, caller.organisation, replace(query, most=LIST_BYTES))
    if sum(it.size for it in found) > LIST_BYTES:
        raise InvalidInput(
            f"the list would be larger than {LIST_BYTES // 1_000_000} MB: ask for fewer documents with limit, or fewer "
            f"fields with select, or page through them at /api/connection/{model.name}"
        )
    return Json([shown(it.document, model) for it in found])


async def _count(model: Model, asked: FindParameters, caller: Reader, here: Here) -> Response:
    query = await compiled(asked, partial(asked.asked, model, here.page_limit), here)
    return Json({"count": await here.queries.count(model, caller.organisation, query)})


async def _one(model: Model, key: str, select: str | None, caller: Reader, here: Here) -> Response:
    found = await here.queries.one(model, caller.organisation, key_from(key), selection(select, model))
    if found is None:
        raise NotFound(f"there is no {model.name} {key}")
    return Json(shown(found, model))
