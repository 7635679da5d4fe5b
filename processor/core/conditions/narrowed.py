"""Conditions to a Mongo query that leaves out statements which cannot match. It never decides: it only saves reading.

Taken over is what a mongod answers as we do: strings, numbers and booleans to equal one of, at a path within the
statement, alone or joined by `$and` and `$or`. What we read more liberally (an ObjectId and its hex string, `&46;` in
keys, dates for strings) and everything else asks nothing.
"""

import math
from collections.abc import Mapping
from typing import Any

from bson import ObjectId

from processor.core.conditions.compiled import Clause, Conditions
from processor.core.conditions.paths import parse_path
from processor.core.conditions.values import is_id

Query = dict[str, Any]

MIN_LONG, MAX_LONG = -(2**63), 2**63 - 1
"""What BSON can hold."""


def narrowed(conditions: Conditions) -> Query:
    """Return a query for the stored statement documents that can match; `{}` when nothing can be left out."""
    return _query(conditions.clause)


def _query(clause: Clause) -> Query:
    if clause.operator == "$and":
        parts = [query for part in clause.parts if (query := _query(part))]
        return {"$and": parts} if len(parts) > 1 else parts[0] if parts else {}
    if clause.operator == "$or":
        parts = [_query(part) for part in clause.parts]
        return {"$or": parts} if all(parts) else {}
    if clause.operator in ("$eq", "$in") and clause.path is not None and _is_plain(clause.path):
        values = [clause.asked] if clause.operator == "$eq" else clause.asked
        if all(map(_is_scalar, values)):
            return {clause.path: {"$in": [same for value in values for same in _spellings(value)]}}
    return {}


def _is_plain(path: str) -> bool:
    steps = parse_path(path)
    is_ours = any(step.encoded or step.key.startswith("$") or "\0" in step.key for step in steps)
    return steps[0].key == "statement" and not is_ours


def _is_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):  # booleans, too
        return MIN_LONG <= value <= MAX_LONG
    return isinstance(value, str)


def _spellings(value: Any) -> list[Any]:
    """A string that spells an ObjectId is met by that ObjectId, too."""
    return [value, ObjectId(value)] if isinstance(value, str) and is_id(value) else [value]


def any_of(queries: list[Query]) -> Mapping[str, Any]:
    """Join queries of which one is enough; `{}` when one of them leaves nothing out."""
    return {"$or": queries} if queries and all(queries) else {}
