"""`GET /health/live`, `/health/ready` and `/metrics`: for orchestrators and scrapers, without credentials."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from processor.api.openapi import health_answers
from processor.api.rendering import Json
from processor.api.within import Here
from processor.probes import health

router = APIRouter(tags=["health"])


@router.get("/health/live", operation_id="live", responses=health_answers("A restart would help."))
async def live(here: Here) -> Response:
    """Tell whether the loops of this process make progress. A loop that waits for a server does."""
    return _health(await here.is_live())


@router.get("/health/ready", operation_id="ready", responses=health_answers("Not yet, or not now."))
async def ready(here: Here) -> Response:
    """Tell whether this process has its place in the consumer group, and reaches its servers."""
    return _health(await here.is_ready())


@router.get(
    "/metrics",
    operation_id="metrics",
    response_class=Response,
    responses={200: {"description": "Prometheus text format.", "content": {"text/plain": {}}}},
)
async def metrics(here: Here) -> Response:
    """Return the metrics of this process, and of its siblings under the same parent."""
    return Response(generate_latest(here.metrics.shown), media_type=CONTENT_TYPE_LATEST)


def _health(faults: list[str]) -> Response:
    status, body = health(faults)
    return Json(body, status)
