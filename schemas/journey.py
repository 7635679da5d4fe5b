"""Journeys, as Learning Locker's *Journeys* interface has them (semantics.md, section 3).

Unknown fields survive a round trip. Defaults are those of learning-locker-behaviour.md, section 12, item 31.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from bson import ObjectId
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    model_validator,
)

from schemas.conditions import parse_conditions
from schemas.ids import Id, Timestamp, parse_object_id
from schemas.rendering import rendered


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _object(value: Any) -> Any:
    """Pass over what is no object where nothing depends on it."""
    return value if isinstance(value, Mapping) else None


def _is_none(value: object) -> bool:
    return value is None


Whole = Annotated[int, Field(strict=True), BeforeValidator(_whole)]
"""A whole number; MongoDB's shell and JavaScript write 5 as the double 5.0."""

Conditions = Annotated[dict[str, Any], BeforeValidator(parse_conditions, json_schema_input_type=dict[str, Any] | str)]


class _Document(BaseModel):
    """What a journey and its parts share: unknown fields are kept, and null is the same as left out."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return {key: child for key, child in value.items() if child is not None or key not in known}


class Waypoint(_Document):
    """A condition on statements and how often it has to be met."""

    id: Id = Field(alias="_id")
    description: StrictStr | None = Field(None, exclude_if=_is_none)
    isActive: StrictBool = True
    conditions: Conditions = Field(
        default_factory=dict,
        description="A Mongo query over the statement document, or a JSON string of one; empty ones match nothing.",
    )
    count: Whole = Field(1, ge=1, description="How many statements it takes.")
    order: Whole = Field(0, description="Position in the journey; by default that in the list.")

    @model_validator(mode="before")
    @classmethod
    def _without_mirror(cls, value: Any) -> Any:
        """Interfaces show `id` beside `_id` (http.md); what is read there may come back."""
        if not isinstance(value, Mapping) or "id" not in value:
            return value
        return {"_id": value["id"]} | {key: child for key, child in value.items() if key != "id"}


class Outcome(_Document):
    """What happens when a journey is completed; kept and shown, as Learning Locker does."""

    id: Id | None = Field(None, alias="_id", exclude_if=_is_none)
    description: StrictStr | None = Field(None, exclude_if=_is_none)
    isActive: StrictBool = False
    type: StrictStr | None = Field(None, exclude_if=_is_none)
    callback: StrictStr | None = Field(None, exclude_if=_is_none)
    tripCount: Whole = 0
    deactivatedAt: Timestamp | None = None


class Journey(_Document):
    """An ordered set of waypoints. `version` grows with every change of what is computed."""

    id: Id = Field(alias="_id")
    organisation: Id
    owner: Id | None = Field(None, exclude_if=_is_none)
    description: StrictStr | None = Field(None, exclude_if=_is_none)
    isActive: StrictBool = False
    sources: list[Id] = Field(default_factory=list, description="Stores (lrs_id) it applies to; none means all.")
    waypoints: list[Waypoint] = Field(default_factory=list)
    outcomes: list[Outcome] = Field(default_factory=list)
    isSequential: StrictBool = False
    isRepeatable: StrictBool = False
    trackBy: Literal["actor", "persona"] = "actor"
    isPublic: StrictBool = False
    recalculateStatus: Annotated[dict[str, Any] | None, BeforeValidator(_object)] = Field(None, exclude_if=_is_none)
    version: Whole = Field(1, ge=1)
    createdAt: Timestamp | None = Field(None, exclude_if=_is_none)
    updatedAt: Timestamp | None = Field(None, exclude_if=_is_none)

    @model_validator(mode="before")
    @classmethod
    def _order_by_position(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or not isinstance(value.get("waypoints"), list):
            return value
        waypoints = [
            {**waypoint, "order": position}
            if isinstance(waypoint, Mapping) and waypoint.get("order") is None
            else waypoint
            for position, waypoint in enumerate(value["waypoints"])
        ]
        return {**value, "waypoints": waypoints}

    @model_validator(mode="after")
    def _distinct_waypoints(self) -> Self:
        seen: set[ObjectId] = set()
        for position, waypoint in enumerate(self.waypoints):
            if waypoint.id in seen:
                raise ValueError(f"waypoints[{position}]._id: {waypoint.id} is the id of an earlier waypoint, too")
            seen.add(waypoint.id)
        return self


def journey_from(document: Mapping[str, Any]) -> Journey:
    """Read a journey document as stored, or as written in a file. Raises pydantic.ValidationError."""
    return Journey.model_validate(document)


def journey_document(journey: Journey) -> dict[str, Any]:
    """Write a journey as stored: ObjectIds and datetimes, conditions as a JSON string, as Learning Locker does."""
    document = journey.model_dump(by_alias=True)
    for waypoint in document["waypoints"]:
        waypoint["conditions"] = json.dumps(waypoint["conditions"])
    return document


def render_journey(journey: Journey) -> dict[str, Any]:
    """Write a journey for JSON: ids as hex, dates ISO 8601, conditions as an object, waypoint `id` mirroring `_id`."""
    document: dict[str, Any] = rendered(journey.model_dump(by_alias=True))
    for waypoint in document["waypoints"]:
        waypoint["id"] = waypoint["_id"]
    return document


def with_ids(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a journey written by hand with every `_id` in place, so that applying a file twice changes nothing.

    A missing one is derived from organisation and description; for a waypoint from the journey's id, its position and
    its description. So a journey that is renamed, or a waypoint that moves, is another one unless it has an `_id`.
    Raises ValueError without an organisation, without both `_id` and description, or for an id that is none.
    """
    try:
        organisation = parse_object_id(document.get("organisation"))
    except ValueError:
        raise ValueError(
            "organisation: every journey needs one, 24 hex digits (or give --organisation, or set DEFAULT_ORGANISATION)"
        ) from None
    key = _id_of(document.get("_id"), "_id")
    if key is None:
        if not document.get("description"):
            raise ValueError("description: a journey without an `_id` needs one, its id is derived from it")
        key = _derived(organisation, document["description"])
    waypoints = document.get("waypoints")
    if isinstance(waypoints, list):
        document = {**document, "waypoints": [_identified(*entry, key) for entry in enumerate(waypoints)]}
    return {**document, "_id": key, "organisation": organisation}


def _identified(position: int, waypoint: Any, journey: ObjectId) -> Any:
    if not isinstance(waypoint, Mapping):
        return waypoint
    own = _id_of(waypoint.get("_id") or waypoint.get("id"), f"waypoints[{position}]._id")
    return {**waypoint, "_id": own or _derived(journey, position, waypoint.get("description"))}


def _id_of(value: Any, path: str) -> ObjectId | None:
    try:
        return None if value is None else parse_object_id(value)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _derived(*parts: object) -> ObjectId:
    return ObjectId(sha256(json.dumps(list(map(str, parts))).encode()).digest()[:12])
