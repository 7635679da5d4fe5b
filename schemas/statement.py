"""The full xAPI statement, 1.0.x and 2.0 (xAPI 1.0.3, Data; IEEE 9274.1.1-2023).

A statement that matches a waypoint has to pass it; one that fails goes to the dead letters (semantics.md, 1).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Tag, ValidationError, model_validator

from schemas.activity import Activity
from schemas.actor import Actor, Agent, Group
from schemas.attachment import Attachment
from schemas.context import Context, StatementRef
from schemas.formats import Iri, LanguageMap, TimestampText, Uuid, Version
from schemas.result import Result
from schemas.xapi import Absent, Part

VOIDED = "http://adlnet.gov/expapi/verbs/voided"


class Verb(Part):
    """What was done (Data 2.4.3)."""

    id: Iri
    display: Absent[LanguageMap] = None


OBJECT_KINDS = ("Activity", "Agent", "Group", "StatementRef", "SubStatement")


def _object_kind(value: Any) -> str:
    """Tell the kind of an object; without an objectType, or with an unknown one, it is judged as an Activity."""
    kind = value.get("objectType") if isinstance(value, dict) else getattr(value, "objectType", None)
    return kind if kind in OBJECT_KINDS else "Activity"


SimpleObject = (
    Annotated[Activity, Tag("Activity")]
    | Annotated[Agent, Tag("Agent")]
    | Annotated[Group, Tag("Group")]
    | Annotated[StatementRef, Tag("StatementRef")]
)


class _Happening(Part):
    """What statements and sub-statements share."""

    actor: Actor
    verb: Verb
    result: Absent[Result] = None
    context: Absent[Context] = None
    timestamp: Absent[TimestampText] = None
    attachments: Absent[list[Attachment]] = None


class SubStatement(_Happening):
    """A statement as an object: it has no id, stored, version or authority, and holds no further one (Data 2.4.4.3)."""

    objectType: Literal["SubStatement"]
    object: Annotated[SimpleObject, Discriminator(_object_kind, "nested", "a SubStatement holds no further one")]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_context(self.object, self.context)
        return self


def _check_authority(authority: Agent | Group) -> Agent | Group:
    """An authority Group is the pair of an OAuth consumer and a user (Data 2.4.9)."""
    if isinstance(authority, Group) and (authority.identifiers() or len(authority.member or ()) != 2):
        raise ValueError("an authority Group is anonymous and has two members")
    return authority


class Statement(_Happening):
    """Someone did something."""

    id: Absent[Uuid] = None
    object: Annotated[SimpleObject | Annotated[SubStatement, Tag("SubStatement")], Discriminator(_object_kind)]
    stored: Absent[TimestampText] = None
    authority: Absent[Annotated[Actor, AfterValidator(_check_authority)]] = None
    version: Absent[Version] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_context(self.object, self.context)
        if self.verb.id == VOIDED and not isinstance(self.object, StatementRef):
            raise ValueError("object of a voiding statement is a StatementRef (Data 2.3.2)")
        if self.version and self.version.startswith("1.") and self.context and self.context.is_of_second_edition():
            raise ValueError(f"context: contextAgents and contextGroups are unknown to version {self.version}")
        return self


def _check_context(thing: object, context: Context | None) -> None:
    """`revision` and `platform` only make sense with an Activity (Data 2.4.6)."""
    if context and not isinstance(thing, Activity) and (context.revision is not None or context.platform is not None):
        raise ValueError("context: revision and platform belong to an Activity")


def validate_statement(statement: Mapping[str, Any]) -> Statement:
    """Hold a decoded statement (plain dots in its keys) to the full model. Raises pydantic.ValidationError."""
    return Statement.model_validate(statement)


def first_fault(error: ValidationError) -> str:
    """Return the first fault in one line, with its path, e.g. `actor.member[0].mbox: 'x' is not a mailto IRI`."""
    fault = error.errors(include_url=False, include_context=False)[0]
    path = "".join(map(_step, fault["loc"])).lstrip(".")
    is_null = fault["input"] is None and fault["type"] != "missing"
    message = "null is not allowed, leave the key out" if is_null else fault["msg"].removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


def _step(part: int | str) -> str:
    """Write one step of a path; the kinds that pydantic puts in are none of the JSON's."""
    if isinstance(part, int):
        return f"[{part}]"
    return "" if part in OBJECT_KINDS else f".{part}"
