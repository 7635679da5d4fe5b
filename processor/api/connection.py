"""`GET /api/connection/{model}`: cursor pages."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from processor.api.callers import Reader
from processor.api.openapi import PROBLEMS, page_of_nodes
from processor.api.parameters import PageParameters, compiled, once
from processor.api.rendering import Json, shown_page
from processor.api.within import Here
from processor.core.queries import JOURNEY, PROGRESS, Model, Window, page_of

router = APIRouter(prefix="/api/connection", tags=["connection"], responses=PROBLEMS, dependencies=[Depends(once)])

Asked = Annotated[PageParameters, Query()]


@router.get("/journeyProgress", operation_id="pageOfProgress", responses=page_of_nodes(PROGRESS))
async def progress_page(asked: Asked, caller: Reader, here: Here) -> Response:
    """Return a page of progress documents. Pages neither lose nor repeat a document while others write."""
    return await _page(PROGRESS, asked, caller, here)


@router.get("/journey", operation_id="pageOfJourneys", responses=page_of_nodes(JOURNEY))
async def journey_page(asked: Asked, caller: Reader, here: Here) -> Response:
    """Return a page of journeys."""
    return await _page(JOURNEY, asked, caller, here)


async def _page(model: Model, asked: PageParameters, caller: Reader, here: Here) -> Response:
    window = Window.of(asked.first, asked.last, asked.after, asked.before)
    query = window.query(await compiled(asked, partial(asked.query, model), here), model, here.page_limit)
    found = await here.queries.find(model, caller.organisation, query)
    return Json(shown_page(page_of(found, window, query, model), model))
