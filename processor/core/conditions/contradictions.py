"""Equalities and ranges that cannot hold at once, at paths where a statement has one value (`journeys check`)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

from processor.core.conditions.compiled import Clause
from processor.core.conditions.values import NUMBER, bracket
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
HUGE: Final = 1e300
"""Numbers beyond are not reckoned with."""


def contradictions(clause: Clause) -> Iterator[str]:
    """Yield a sentence for each path that is asked for what no value can be.

    Values are tried, with the clauses' own predicates: those asked for, and those between, below and above the bounds.
    If any value met all of an interval's bounds, one of these would.
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
    asked = [value for leaf in leaves for value in _asked(leaf)]
    yield from asked
    yield from (text + "\0" for text in asked if isinstance(text, str))  # the next text above
    numbers = sorted(value for value in asked if bracket(value) == NUMBER and abs(value) < HUGE)
    if numbers:
        yield from (numbers[0] - 1, numbers[-1] + 1)
        yield from ((one + other) / 2 for one, other in pairwise(numbers))
    dates = sorted(value for value in asked if isinstance(value, datetime))
    yield from (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    yield from (one + (other - one) / 2 for one, other in pairwise(dates))


def _document(path: str, value: Any) -> dict[str, Any]:
    for part in reversed(path.split(".")):
        value = {part: value}
    return dict(value)


def _shown(value: Any) -> str:
    return format_timestamp(value) if isinstance(value, datetime) else f"{value!r:.60}"
