"""Where it belongs: the context of a statement (xAPI 1.0.3, Data 2.4.6; IEEE 9274.1.1 for Agents and Groups in it)."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from schemas.activity import Activity
from schemas.actor import Actor, Agent, Group
from schemas.formats import Extensions, Iri, LanguageTag, Uuid
from schemas.xapi import Absent, Part


class StatementRef(Part):
    """Another statement, by its id (Data 2.4.4.3)."""

    objectType: Literal["StatementRef"]
    id: Uuid


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


Activities = Annotated[list[Activity], BeforeValidator(_as_list, json_schema_input_type=list[Activity] | Activity)]
"""A single Activity counts as a list of one (Data 2.4.6.2)."""


class ContextActivities(Part):
    """Activities around the one of the statement."""

    parent: Absent[Activities] = None
    grouping: Absent[Activities] = None
    category: Absent[Activities] = None
    other: Absent[Activities] = None


RelevantTypes = Annotated[list[Iri], Field(min_length=1)]


class ContextAgent(Part):
    """xAPI 2.0: an Agent's relation to the statement."""

    objectType: Literal["contextAgent"]
    agent: Agent
    relevantTypes: Absent[RelevantTypes] = None


class ContextGroup(Part):
    """xAPI 2.0: a Group's relation to the statement."""

    objectType: Literal["contextGroup"]
    group: Group
    relevantTypes: Absent[RelevantTypes] = None


class Context(Part):
    """Where it belongs."""

    registration: Absent[Uuid] = None
    instructor: Absent[Actor] = None
    team: Absent[Group] = None
    contextActivities: Absent[ContextActivities] = None
    contextAgents: Absent[list[ContextAgent]] = None
    contextGroups: Absent[list[ContextGroup]] = None
    revision: Absent[str] = None
    platform: Absent[str] = None
    language: Absent[LanguageTag] = None
    statement: Absent[StatementRef] = None
    extensions: Absent[Extensions] = None

    def is_of_second_edition(self) -> bool:
        """Say whether it has what only xAPI 2.0 knows."""
        return self.contextAgents is not None or self.contextGroups is not None
