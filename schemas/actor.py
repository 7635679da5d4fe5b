"""Who did it: Agents and Groups (xAPI 1.0.3, Data 2.4.2)."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from schemas.formats import Iri, Mbox, Sha1
from schemas.xapi import Part

IDENTIFIERS = ("mbox", "mbox_sha1sum", "openid", "account")


class Account(Part):
    """A user account of a system."""

    homePage: Iri
    name: str


class _Identified(Part):
    name: str | None = None
    mbox: Mbox | None = None
    mbox_sha1sum: Sha1 | None = None
    openid: Iri | None = None
    account: Account | None = None

    def identifiers(self) -> int:
        """Count the inverse functional identifiers."""
        return sum(getattr(self, name) is not None for name in IDENTIFIERS)


class Agent(_Identified):
    """A person or system, with exactly one inverse functional identifier."""

    objectType: Literal["Agent"] | None = None

    @model_validator(mode="after")
    def _identifiable(self) -> Self:
        if self.identifiers() != 1:
            raise ValueError("an Agent needs exactly one of mbox, mbox_sha1sum, openid, account")
        return self


class Group(_Identified):
    """An identified Group has one identifier; an anonymous one has members instead."""

    objectType: Literal["Group"]
    member: list[Agent] | None = None

    @model_validator(mode="after")
    def _identifiable(self) -> Self:
        if self.identifiers() > 1:
            raise ValueError("a Group has at most one of mbox, mbox_sha1sum, openid, account")
        if self.identifiers() == 0 and not self.member:
            raise ValueError("a Group without an identifier needs members")
        return self


def _kind(value: Any) -> str:
    kind = value.get("objectType") if isinstance(value, dict) else getattr(value, "objectType", None)
    return "Group" if kind == "Group" else "Agent"


Actor = Annotated[Annotated[Agent, Tag("Agent")] | Annotated[Group, Tag("Group")], Discriminator(_kind)]
"""An Agent or a Group; without an objectType an Agent."""


class ContextAgent(Part):
    """xAPI 2.0 (IEEE 9274.1.1), 4.2.2: an Agent's relation to the context."""

    objectType: Literal["contextAgent"] | None = None
    agent: Agent
    relevantTypes: list[Iri] | None = Field(None, min_length=1)


class ContextGroup(Part):
    """xAPI 2.0 (IEEE 9274.1.1), 4.2.2: a Group's relation to the context."""

    objectType: Literal["contextGroup"] | None = None
    group: Group
    relevantTypes: list[Iri] | None = Field(None, min_length=1)
