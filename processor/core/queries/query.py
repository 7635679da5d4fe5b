"""A query that has been checked, and what is found by it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from processor.core.queries.projections import Projection
from processor.core.queries.sorting import BY_ID, Sort


@dataclass(frozen=True, slots=True)
class Query:
    """What a caller asks of one model, checked by `core.queries`; `beyond` narrows it to what a cursor left over."""

    filter: Mapping[str, Any] = field(default_factory=dict)
    beyond: tuple[Mapping[str, Any], ...] = ()
    sort: Sort = BY_ID
    named: Collection[str] = ()
    """The paths that the caller's sort names; what comes behind `_id` decides nothing, and is not in `sort`."""
    project: Projection | None = None
    hint: str | Mapping[str, Any] | None = None
    skip: int = 0
    limit: int = 10
    most: int | None = None
    """Bytes; what is found ends with the document that goes beyond."""


@dataclass(frozen=True, slots=True)
class Found:
    """A document as stored (or as projected), its values at the sort's paths, None where it has none, and its bytes."""

    document: Mapping[str, Any]
    place: tuple[Any, ...]
    size: int = 0
