"""The statement as Learning Locker stores and queues it: the xAPI statement with what the LRS knows about it.

semantics.md, section 1; learning-locker-behaviour.md, section 3. Fields that it does not list are kept.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from schemas.dots import decode_dots
from schemas.ids import Id, Timestamp
from schemas.statement import Statement


class Person(BaseModel):
    """The persona that the actor was found to be."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    id: Id = Field(alias="_id")
    display: str | None = None


class StatementDocument(BaseModel):
    """A stored statement. Keys of the statement may have `&46;` for their dots."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)

    id: Id = Field(alias="_id")
    organisation: Id
    lrs_id: Id | None = Field(None, description="The store; a journey's `sources` name stores.")
    client: Id | None = None
    person: Person | None = None
    active: bool = True
    voided: bool = False
    timestamp: Timestamp | None = Field(None, description="Event time; else that of the statement.")
    stored: Timestamp | None = None
    statement: Annotated[Statement, BeforeValidator(decode_dots)]


def statement_document_from(document: Mapping[str, Any]) -> StatementDocument:
    """Read a statement document, and hold its statement to the full model. Raises pydantic.ValidationError."""
    return StatementDocument.model_validate(document)
