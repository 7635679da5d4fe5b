"""Record headers of the statements that come in, and of the dead letters (semantics.md, section 1)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

DeadLetterReason = Literal[
    "empty",
    "unreadable",
    "not-json",
    "too-deep",
    "wrong-shape",
    "no-tenant",
    "invalid-id",
    "invalid-timestamp",
    "invalid-actor",
    "invalid-verb",
    "invalid-object",
    "invalid-statement",
    "unwritable",
]
"""What subscribers are promised; a test holds it equal to the processor's own list."""


def _hyphenated(name: str) -> str:
    return name.replace("_", "-")


class StatementHeaders(BaseModel):
    """Headers beside a bare statement; others, such as CloudEvents' `ce_…`, may stand beside them."""

    organisation: str | None = Field(None, pattern="^[0-9a-fA-F]{24}$", description="The tenant of a bare statement.")
    lrs_id: str | None = Field(None, pattern="^[0-9a-fA-F]{24}$", description="The store of a bare statement.")
    replayed_timestamp: str | None = Field(
        None,
        alias="replayed-timestamp",
        pattern="^-?[0-9]+$",
        description="The timestamp that counts instead of the record's: this one was replayed from a dead letter.",
    )


class DeadLetterHeaders(BaseModel):
    """Headers of a dead letter, beside those of the original record; its value and key are the original's, too."""

    model_config = ConfigDict(alias_generator=_hyphenated)

    dead_letter_reason: DeadLetterReason
    dead_letter_message: str = Field(description="One sentence for people.")
    dead_letter_topic: str
    dead_letter_partition: str = Field(pattern="^[0-9]+$")
    dead_letter_offset: str = Field(pattern="^[0-9]+$")
    dead_letter_timestamp: str | None = Field(
        None, pattern="^-?[0-9]+$", description="The original record's timestamp, in milliseconds since 1970."
    )
    dead_letter_time: str = Field(json_schema_extra={"format": "date-time"})
    dead_letter_item: str | None = Field(
        None, pattern="^[0-9]+$", description="Position in an array; the value is the whole record."
    )
    dead_letter_omitted: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of the original value: the record was too large for this topic and stands only at its "
        "topic, partition and offset; the letter has neither its value nor its key and headers.",
    )
