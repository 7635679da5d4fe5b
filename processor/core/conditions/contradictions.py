"""Equalities and ranges that cannot hold at once, at paths where a statement has one value (`journeys check`)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from math import ceil, floor, inf, nextafter
from sys import float_info
from typing import Any, Final

from bson import ObjectId

from processor.core.conditions.compiled import Clause
from processor.core.conditions.values import NUMBER, bracket, is_id
from schemas.ids import format_timestamp

SINGLE: Final = frozenset(
    {
        "_id",
        "client",
        "lrs_id",
        "organisation",
        "person._id",
        "statement.actor.account.homePage",
        "statement.actor.account.name",
        "statement.actor.mbox",
        "statement.context.registration",
        "statement.id",
        "statement.object.definition.type",
        "statement.object.id",
        "statement.object.objectType",
        "statement.result.completion",
        "statement.result.score.max",
        "statement.result.score.min",
        "statement.result.score.raw",
        "statement.result.score.scaled",
        "statement.result.success",
        "statement.verb.id",
        "stored",
        "timestamp",
        "voided",
    }
)
"""Where statements never have an array, so that one value has to meet everything that is asked."""

ORDERED: Final = frozenset({"$eq", "$in", "$gt", "$gte", "$lt", "$lte"})
BOUNDS: Final = ORDERED - {"$eq", "$in"}

MAX: Final = float_info.max
STEP: Final = timedelta(milliseconds=1)
EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)


def contradictions(clause: Clause) -> Iterator[str]:
    """Yield a sentence for each path that is asked for what no value can be.

    Values are tried, with the clauses' own predicates: those asked for, and those nearest to the bounds. If any value
    met all of an interval's bounds, one of these would.
    """
    by_path: dict[str, list[Clause]] = defaultdict(list)
    for leaf in _conjoined(clause):
        if leaf.path in SINGLE and leaf.operator in ORDERED and not any(isinstance(it, dict) for it in _asked(leaf)):
            by_path[leaf.path].append(leaf)
    for path, leaves in by_path.items():
        tried = [_document(path, value) for value in _values(leaves)]
        if len(leaves) > 1 and not any(all(leaf.predicate(document) for leaf in leaves) for document in tried):
            asked = " and ".join(f"{leaf.operator} {_shown(leaf.asked)}" for leaf in leaves)
            yield f"{path}: no value is {asked} at once"


def _conjoined(clause: Clause) -> Iterator[Clause]:
    """Yield the leaves that must all hold."""
    if clause.operator == "$and":
        for part in clause.parts:
            yield from _conjoined(part)
    else:
        yield clause


def _asked(leaf: Clause) -> list[Any]:
    return leaf.asked if leaf.operator == "$in" else [leaf.asked]


def _values(leaves: Iterable[Clause]) -> Iterator[Any]:
    for leaf in leaves:
        yield from _asked(leaf)
        if leaf.operator in BOUNDS:
            yield from _beside(leaf.asked)


def _beside(bound: Any) -> Iterator[Any]:
    """Yield the values of its kind that are nearest to a bound, below and above; of texts the first of all."""
    if isinstance(bound, str):
        yield from ("", bound + "\0")
    if isinstance(bound, ObjectId) or (isinstance(bound, str) and is_id(bound)):
        number = int(str(bound), 16)
        yield from (ObjectId(f"{it:024x}") for it in (max(number - 1, 0), min(number + 1, 16**24 - 1)))
    if isinstance(bound, bool):
        yield not bound
    if isinstance(bound, datetime):
        yield from (max(bound, EARLIEST + STEP) - STEP, min(bound, LATEST - STEP) + STEP)
    if bracket(bound) == NUMBER:
        if abs(bound) <= MAX:
            yield from (ceil(bound) - 1, floor(bound) + 1)
            yield from (nextafter(bound, -inf), float(bound), nextafter(bound, inf))
        else:
            yield from (-MAX, MAX)


def _document(path: str, value: Any) -> dict[str, Any]:
    for part in reversed(path.split(".")):
        value = {part: value}
    return dict(value)


def _shown(value: Any) -> str:
    return format_timestamp(value) if isinstance(value, datetime) else f"{value!r:.60}"
