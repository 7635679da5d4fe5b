"""The progress-updated event (semantics.md, section 7): CloudEvents 1.0 attributes, and the data."""

from typing import Literal

from pydantic import Field

from schemas.progress import Noun, ProgressState

EVENT_TYPE = "journey.progress-updated.v1"
EVENT_SOURCE = "/journey-progress"
EVENT_SCHEMA = "urn:journey-progress:schema:progress-updated:v1"
"""`dataschema`: the `$id` of the exported `json/progress-updated.schema.json`."""


class Change(Noun):
    """One thing that changed; `attempt` is the position in `completions`, from 0."""

    type: Literal["started", "progressed", "waypoint-completed", "completed", "reverted", "recalculated"]
    attempt: int = Field(ge=0)
    waypoint: str | None = Field(None, description="Waypoint id, where the change concerns one.")


class ProgressUpdated(ProgressState):
    """The event's data: the public progress document after the change, without pending, and what changed."""

    changes: list[Change]
