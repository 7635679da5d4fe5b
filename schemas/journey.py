"""Journeys, as Learning Locker's *Journeys* interface has them (semantics.md, section 3).

Unknown fields survive a round trip. Defaults are those of learning-locker-behaviour.md, section 12, item 31.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal, Self

from bson import ObjectId
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.ids import Id, Timestamp, parse_object_id


class Waypoint(BaseModel):
    """A condition on statements and how often it has to be met. `conditions` may come as a JSON string."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, arbitrary_types_allowed=True)

    id: Id = Field(alias="_id")
    description: str | None = None
    isActive: bool = True
    conditions: dict[str, Any] = Field(default_factory=dict)
    count: int = Field(1, ge=1)
    order: int = 0

    @field_validator("conditions", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value) if value.strip() else {}
        except json.JSONDecodeError as error:
            raise ValueError(f"not JSON: {error}") from None


class Outcome(BaseModel):
    """What happens when a journey is completed; kept and shown."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, arbitrary_types_allowed=True)

    id: Id | None = Field(None, alias="_id")
    description: str | None = None
    isActive: bool = False
    type: str | None = None
    callback: str | None = None
    tripCount: int = 0
    deactivatedAt: Timestamp | None = None


class Journey(BaseModel):
    """An ordered set of waypoints. `version` grows with every change of what is computed."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, arbitrary_types_allowed=True)

    id: Id = Field(alias="_id")
    organisation: Id
    owner: Id | None = None
    description: str | None = None
    isActive: bool = False
    sources: list[Id] = Field(default_factory=list)
    waypoints: list[Waypoint] = Field(default_factory=list)
    outcomes: list[Outcome] = Field(default_factory=list)
    isSequential: bool = False
    isRepeatable: bool = False
    trackBy: Literal["actor", "persona"] = "actor"
    isPublic: bool = False
    recalculateStatus: dict[str, Any] | None = None
    version: int = Field(1, ge=1)
    createdAt: Timestamp | None = None
    updatedAt: Timestamp | None = None

    @model_validator(mode="before")
    @classmethod
    def _order_by_position(cls, value: Any) -> Any:
        """A waypoint without `order` has its position."""
        if not isinstance(value, Mapping) or not isinstance(value.get("waypoints"), list):
            return value
        waypoints = [
            {"order": position, **waypoint} if isinstance(waypoint, Mapping) else waypoint
            for position, waypoint in enumerate(value["waypoints"])
        ]
        return {**value, "waypoints": waypoints}

    @model_validator(mode="after")
    def _distinct_waypoints(self) -> Self:
        ids = [waypoint.id for waypoint in self.waypoints]
        if len(set(ids)) < len(ids):
            raise ValueError("waypoints: two waypoints have the same _id")
        return self


MEANING = ("waypoints", "isSequential", "isRepeatable", "trackBy", "sources")
"""The fields whose change makes a new `version` (issue: journeys, write)."""


def journey_from(document: Mapping[str, Any]) -> Journey:
    """Read a journey document as stored, or as written in a file. Raises pydantic.ValidationError."""
    return Journey.model_validate(document)


def journey_document(journey: Journey) -> dict[str, Any]:
    """Write a journey as stored: ObjectIds and datetimes, conditions as a JSON string, as Learning Locker does."""
    document = journey.model_dump(by_alias=True, exclude_none=True)
    for waypoint in document["waypoints"]:
        waypoint["conditions"] = json.dumps(waypoint["conditions"])
    return document


def render_journey(journey: Journey) -> dict[str, Any]:
    """Write a journey for JSON: ids as hex, dates ISO 8601, conditions as an object, waypoint `id` mirroring `_id`."""
    rendered = journey.model_dump(mode="json", by_alias=True, exclude_none=True)
    for waypoint in rendered["waypoints"]:
        waypoint["id"] = waypoint["_id"]
    return rendered


def revision_of(journey: Journey, before: Journey | None, now: datetime) -> Journey | None:
    """Return the journey as it is to be saved over `before`, or None when nothing has changed.

    `version` grows when waypoints, sequence, repeat, trackBy or sources change, and never falls.
    """
    if before is None:
        return journey.model_copy(update={"createdAt": journey.createdAt or now, "updatedAt": now})
    kept = {"createdAt": before.createdAt, "updatedAt": before.updatedAt, "version": before.version}
    if journey.model_copy(update=kept) == before:
        return None
    is_same = all(getattr(journey, name) == getattr(before, name) for name in MEANING)
    version = before.version if is_same else max(before.version + 1, journey.version)
    return journey.model_copy(update={"createdAt": before.createdAt, "updatedAt": now, "version": version})


def with_ids(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a journey written by hand with every `_id` in place.

    A missing one is derived from the organisation, the description and the waypoint's position and description,
    so that the same file gives the same journey every time. Raises ValueError without an organisation.
    """
    try:
        organisation = parse_object_id(document.get("organisation"))
    except ValueError:
        raise ValueError("organisation: every journey needs one, 24 hex digits (or give --organisation)") from None
    key = _id_of(document) or _derived(organisation, document.get("description"))
    waypoints = document.get("waypoints")
    if isinstance(waypoints, list):
        waypoints = [
            {**waypoint, "_id": _id_of(waypoint) or _derived(key, position, waypoint.get("description"))}
            if isinstance(waypoint, Mapping)
            else waypoint
            for position, waypoint in enumerate(waypoints)
        ]
        document = {**document, "waypoints": waypoints}
    return {**document, "_id": key, "organisation": organisation}


def _id_of(document: Mapping[str, Any]) -> ObjectId | None:
    return parse_object_id(document["_id"]) if document.get("_id") is not None else None


def _derived(*parts: object) -> ObjectId:
    return ObjectId(sha256(json.dumps(list(map(str, parts))).encode()).digest()[:12])
