"""Documents as JSON (http.md): ids as hex, dates ISO 8601 with milliseconds and `Z`, conditions as an object."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson
from bson import ObjectId
from fastapi.responses import Response

from processor.core.conditions.dialect import check_extent
from processor.core.queries import JOURNEY, Model, Page
from schemas.conditions import parse_conditions
from schemas.progress import PUBLIC
from schemas.rendering import rendered


class Json(Response):
    """A JSON answer; what JSON does not know is written as text."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Write it."""
        return orjson.dumps(content, default=str, option=orjson.OPT_NON_STR_KEYS)


def shown(document: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """Write a stored (or projected) document as its interface shows it."""
    return shown_journey(document) if model is JOURNEY else _shown_progress(document)


def shown_page(page: Page, model: Model) -> dict[str, Any]:
    """Write a page with exactly the keys of Learning Locker's connection interface."""
    return {
        "edges": [{"cursor": cursor, "node": shown(document, model)} for cursor, document in page.edges],
        "pageInfo": {
            "startCursor": page.start,
            "endCursor": page.end,
            "hasNextPage": page.has_next,
            "hasPreviousPage": page.has_previous,
        },
    }


def shown_journey(document: Mapping[str, Any]) -> dict[str, Any]:
    """Write a journey, a broken one too: conditions as an object where they are one, waypoint `id` mirroring `_id`."""
    journey: dict[str, Any] = rendered(dict(document))
    waypoints = journey.get("waypoints")
    if isinstance(waypoints, list):
        journey["waypoints"] = [_shown_waypoint(it) if isinstance(it, dict) else it for it in waypoints]
    return journey


def _shown_waypoint(waypoint: dict[str, Any]) -> dict[str, Any]:
    if isinstance(waypoint.get("conditions"), str):
        with suppress(ValueError):  # broken in the database: shown as it stands there
            conditions = parse_conditions(waypoint["conditions"])
            check_extent(conditions)
            waypoint["conditions"] = conditions
    return waypoint | ({"id": waypoint["_id"]} if "_id" in waypoint else {})


def _shown_progress(document: Mapping[str, Any]) -> dict[str, Any]:
    """Write a progress document in the order of the seed; a projection may have put other names in."""
    ordered = sorted(document, key=lambda name: PUBLIC.index(name) if name in PUBLIC else len(PUBLIC))
    return {name: rendered(document[name]) for name in ordered if name != "processing"}


def shown_value(value: Any) -> Any:
    """Write a value of any kind."""
    return str(value) if isinstance(value, ObjectId) else rendered(value)
