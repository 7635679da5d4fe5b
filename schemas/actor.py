"""Who did it: Agents and Groups (xAPI 1.0.3, Data 2.4.2)."""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Tag, model_validator

from schemas.formats import Iri, Mbox, Sha1
from schemas.xapi import Absent, Part

IDENTIFIERS = ("mbox", "mbox_sha1sum", "openid", "account")
"""The inverse functional identifiers (Data 2.4.2.3)."""


class Account(Part):
    """A user account of a system."""

    homePage: Iri
    name: str


class _Identified(Part):
    name: Absent[str] = None
    mbox: Absent[Mbox] = None
    mbox_sha1sum: Absent[Sha1] = None
    openid: Absent[Iri] = None
    account: Absent[Account] = None

    def identifiers(self) -> int:
        """Count the inverse functional identifiers."""
        has_mail = (self.mbox is not None) + (self.mbox_sha1sum is not None)
        return has_mail + (self.openid is not None) + (self.account is not None)


class Agent(_Identified):
    """A person or system, with exactly one inverse functional identifier."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [name]} for name in IDENTIFIERS]})

    objectType: Absent[Literal["Agent"]] = None

    @model_validator(mode="after")
    def _identifiable(self) -> Self:
        if self.identifiers() != 1:
            raise ValueError("an Agent needs exactly one of mbox, mbox_sha1sum, openid, account")
        return self


class Group(_Identified):
    """An identified Group has one identifier; an anonymous one has members instead (Data 2.4.2.2)."""

    objectType: Literal["Group"]
    member: Absent[list[Agent]] = None

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
