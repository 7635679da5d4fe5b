"""The full xAPI statement, 1.0.x and 2.0 (xAPI 1.0.3, Data; IEEE 9274.1.1-2023).

A statement that matches a waypoint has to pass it; one that fails goes to the dead letters (semantics.md, 1).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationError, model_validator

from schemas.activity import Activity
from schemas.actor import Actor, Agent, ContextAgent, ContextGroup, Group
from schemas.formats import (
    DurationText,
    Extensions,
    Iri,
    LanguageMap,
    LanguageTag,
    MediaType,
    Sha2,
    TimestampText,
    Uuid,
    Version,
)
from schemas.xapi import Part

VOIDED = "http://adlnet.gov/expapi/verbs/voided"


class Verb(Part):
    """What was done."""

    id: Iri
    display: LanguageMap | None = None


class StatementRef(Part):
    """Another statement, by its id."""

    objectType: Literal["StatementRef"]
    id: Uuid


class Score(Part):
    """`scaled` within -1 and 1, `raw` within `min` and `max` (Data 2.4.5.1)."""

    scaled: float | None = Field(None, ge=-1, le=1)
    raw: float | None = None
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _in_bounds(self) -> Self:
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError("min must be below max")
        if self.raw is not None and self.min is not None and self.raw < self.min:
            raise ValueError("raw is below min")
        if self.raw is not None and self.max is not None and self.raw > self.max:
            raise ValueError("raw is above max")
        return self


class Result(Part):
    """How it went."""

    score: Score | None = None
    success: bool | None = None
    completion: bool | None = None
    response: str | None = None
    duration: DurationText | None = None
    extensions: Extensions | None = None


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class ContextActivities(Part):
    """Activities around the one of the statement; a single one counts as a list of one (Data 2.4.6.2)."""

    parent: list[Activity] | None = None
    grouping: list[Activity] | None = None
    category: list[Activity] | None = None
    other: list[Activity] | None = None

    @model_validator(mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        return {key: _as_list(child) for key, child in value.items()} if isinstance(value, dict) else value


class Context(Part):
    """Where it belongs."""

    registration: Uuid | None = None
    instructor: Actor | None = None
    team: Group | None = None
    contextActivities: ContextActivities | None = None
    contextAgents: list[ContextAgent] | None = None
    contextGroups: list[ContextGroup] | None = None
    revision: str | None = None
    platform: str | None = None
    language: LanguageTag | None = None
    statement: StatementRef | None = None
    extensions: Extensions | None = None


class Attachment(Part):
    """A file that belongs to the statement."""

    usageType: Iri
    display: LanguageMap
    description: LanguageMap | None = None
    contentType: MediaType
    length: int = Field(ge=0)
    sha2: Sha2
    fileUrl: Iri | None = None


def _object_kind(value: Any) -> str:
    kind = value.get("objectType") if isinstance(value, dict) else getattr(value, "objectType", None)
    return kind if kind in ("Agent", "Group", "StatementRef", "SubStatement") else "Activity"


class _Happening(Part):
    """What statements and sub-statements share."""

    actor: Actor
    verb: Verb
    result: Result | None = None
    context: Context | None = None
    timestamp: TimestampText | None = None
    attachments: list[Attachment] | None = None


SimpleObject = (
    Annotated[Activity, Tag("Activity")]
    | Annotated[Agent, Tag("Agent")]
    | Annotated[Group, Tag("Group")]
    | Annotated[StatementRef, Tag("StatementRef")]
)


class SubStatement(_Happening):
    """A statement about a statement that did not happen; it holds no further one, and has no id (Data 2.4.4.3)."""

    objectType: Literal["SubStatement"]
    object: Annotated[SimpleObject, Discriminator(_object_kind)]

    @model_validator(mode="after")
    def _about_activities(self) -> Self:
        _check_context(self.object, self.context)
        return self


def _check_authority(authority: Agent | Group) -> Agent | Group:
    """An authority Group is the pair of an OAuth consumer and a user (Data 2.4.9)."""
    if isinstance(authority, Group) and (authority.identifiers() or len(authority.member or ()) != 2):
        raise ValueError("an authority Group is anonymous and has two members")
    return authority


class Statement(_Happening):
    """Someone did something."""

    id: Uuid | None = None
    object: Annotated[SimpleObject | Annotated[SubStatement, Tag("SubStatement")], Discriminator(_object_kind)]
    stored: TimestampText | None = None
    authority: Annotated[Actor, AfterValidator(_check_authority)] | None = None
    version: Version | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_context(self.object, self.context)
        if self.verb.id == VOIDED and not isinstance(self.object, StatementRef):
            raise ValueError("a voiding statement has a StatementRef as its object")
        return self


def _check_context(thing: object, context: Context | None) -> None:
    """`revision` and `platform` only make sense with an Activity (Data 2.4.6)."""
    if context and not isinstance(thing, Activity) and (context.revision is not None or context.platform is not None):
        raise ValueError("context: revision and platform belong to an Activity")


def validate_statement(statement: Mapping[str, Any]) -> Statement:
    """Hold a decoded statement (plain dots in its keys) to the full model. Raises pydantic.ValidationError."""
    return Statement.model_validate(statement)


def first_fault(error: ValidationError) -> str:
    """Return the first fault in one line, with its path, e.g. `actor.mbox: String should match …`."""
    fault = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(str(part) for part in fault["loc"] if part not in ("Activity", "Agent", "Group"))
    message = fault["msg"].removeprefix("Value error, ")
    return f"{path}: {message}" if path else message
