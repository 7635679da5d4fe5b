"""The progress-updated event (semantics.md, section 7): CloudEvents 1.0 attributes, and the data."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.progress import Noun, ProgressState, WaypointKey

EVENT_TYPE = "journey.progress-updated.v1"
EVENT_SOURCE = "/journey-progress"
EVENT_SCHEMA = "urn:journey-progress:schema:progress-updated:v1"
"""`dataschema`: the `$id` of the exported `json/progress-updated.schema.json`."""

ChangeType = Literal["started", "progressed", "waypoint-completed", "completed", "reverted", "recalculated"]


class Change(Noun):
    """One thing that changed."""

    type: ChangeType
    attempt: int = Field(
        ge=0, description="Position among all attempts, from 0; in `completions` that less `completionsBefore`."
    )
    waypoint: WaypointKey | None = Field(None, description="Waypoint id, where the change concerns one.")

    @model_validator(mode="after")
    def _of_a_waypoint(self) -> Self:
        if self.waypoint is None and self.type in ("progressed", "waypoint-completed"):
            raise ValueError(f"{self.type} concerns a waypoint")
        return self


class ProgressUpdated(ProgressState):
    """The event's data: the public progress document after the change, without pending, and what changed."""

    completionsBefore: int | None = Field(
        None,
        gt=0,
        description="Attempts before those in `completions`: completed, and too many to tell; the interfaces do.",
    )
    changes: list[Change] = Field(max_length=1_000, description="In order; of very many the last.")


class EventHeaders(BaseModel):
    """Record headers of an event: CloudEvents 1.0 attributes in the binary Kafka binding."""

    model_config = ConfigDict(extra="forbid")

    ce_id: str = Field(
        pattern="^[0-9a-f]{24}-[1-9][0-9]*$", description="Progress id and revision; a repeat has it, too."
    )
    ce_source: Literal["/journey-progress"]
    ce_specversion: Literal["1.0"]
    ce_type: Literal["journey.progress-updated.v1"]
    ce_subject: str = Field(pattern="^[0-9a-f]{24}$", description="Progress id; the record's key is the same.")
    ce_time: str = Field(json_schema_extra={"format": "date-time"})
    ce_dataschema: Literal["urn:journey-progress:schema:progress-updated:v1"]
    ce_sequence: str = Field(pattern="^[1-9][0-9]*$", description="The document's revision; grows by one.")
    ce_replay: Literal["true"] | None = Field(None, description="While the journey is recalculated.")
    content_type: Literal["application/json"] = Field(alias="content-type")
