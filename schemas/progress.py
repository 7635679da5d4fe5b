"""The progress document, as the seed shows it (semantics.md, section 5). No interface shows `processing`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from schemas.ids import Id, Timestamp
from schemas.rendering import rendered

WaypointKey = Annotated[str, Field(pattern="^[0-9a-f]{24}$")]
"""A waypoint id as a key: hex, as BSON has no other keys than strings."""

PUBLIC = (
    "_id",
    "journey",
    "organisation",
    "owner",
    "createdAt",
    "updatedAt",
    "pendingProgress",
    "lockKey",
    "startedAt",
    "isCompleted",
    "completedAt",
    "duration",
    "completions",
)
"""The fields that interfaces show, in the order they are shown."""


class Noun(BaseModel):
    """What all parts of a progress document share: nothing unknown in them."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class StatementReference(Noun):
    """A counted or pending statement: its Mongo id and its event time."""

    statement: Id
    timestamp: Timestamp


class Pending(Noun):
    """Statements of one waypoint that wait for promotion; empty after it."""

    statements: list[StatementReference]


class CompletedWaypoint(Noun):
    """One waypoint in an attempt. `completedAt` is the time of the statement that completed it."""

    waypoint: Id
    order: int
    isCompleted: bool
    completedAt: Timestamp | None = None
    statements: list[StatementReference]


class Completion(Noun):
    """One attempt; an open one has `isCompleted: false` and is the last."""

    waypoints: dict[WaypointKey, CompletedWaypoint]
    isCompleted: bool
    completedAt: Timestamp | None = None


class ProgressOwner(Noun):
    """Whose progress it is: a full xAPI actor, or a persona id."""

    trackBy: Literal["actor", "persona"]
    ident: Annotated[Id | dict[str, Any], PlainSerializer(rendered, when_used="json")]


class ProgressState(Noun):
    """How far one owner is through one journey: what events carry."""

    id: Id = Field(alias="_id")
    journey: Id
    organisation: Id
    owner: ProgressOwner
    createdAt: Timestamp
    updatedAt: Timestamp
    lockKey: str | None = Field(None, description="The last promoter's token; not a held lock.")
    startedAt: Timestamp | None = Field(None, description="Time of the first counted statement.")
    isCompleted: bool = False
    completedAt: Timestamp | None = Field(None, description="Time of the first completion.")
    duration: int | None = Field(None, description="completedAt - startedAt, in the unit that is set.")
    completions: list[Completion] = Field(default_factory=list)


class Progress(ProgressState):
    """The progress document that interfaces show."""

    pendingProgress: dict[WaypointKey, Pending] = Field(default_factory=dict)


def progress_from(document: Mapping[str, Any]) -> Progress:
    """Read a stored document; what is not public is passed over. Raises pydantic.ValidationError."""
    return Progress.model_validate({key: document[key] for key in PUBLIC if key in document})


def public_state(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a stored document what events carry, as it is stored: JSON is for `rendering.to_json` to make of it."""
    return {key: document[key] for key in PUBLIC if key in document and key != "pendingProgress"}


def render_progress(document: Mapping[str, Any], *, with_pending: bool) -> dict[str, Any]:
    """Write a stored document for JSON: ids as hex, dates ISO 8601 with milliseconds and `Z`, public fields only."""
    return {
        key: rendered(document[key]) for key in PUBLIC if key in document and (with_pending or key != "pendingProgress")
    }
