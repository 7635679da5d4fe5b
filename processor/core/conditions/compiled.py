"""What a query compiles to: a tree of clauses, each with its predicate; the live matcher and explain share it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from processor.core.conditions.paths import parse_path, values_at
from processor.core.conditions.required import Requirements
from processor.core.conditions.values import MISSING, Test


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause: `path` and `asked` for a leaf, `parts` for `$and`, `$or`, `$nor`."""

    operator: str
    predicate: Test
    required: Requirements = ()
    path: str | None = None
    asked: Any = None
    parts: tuple["Clause", ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a clause found in a document: the first values at its path, and the verdict."""

    operator: str
    path: str | None
    asked: Any
    found: tuple[Any, ...]
    verdict: bool
    parts: tuple["Finding", ...] = ()


FOUND = 10
"""Values that a finding shows at most."""


class Predicate(Protocol):
    """Tells whether a document matches."""

    def __call__(self, document: Mapping[str, Any], /) -> bool:
        """Return the verdict."""


class Conditions:
    """A compiled query, callable as `(document) -> bool`. Made by `compile_conditions`.

    Called, it tells whether a document matches: a dict of plain JSON, ids and aware dates. It never raises. `source` is
    the query as an object; `required` what a match makes necessary, for an index.
    """

    __slots__ = ("__call__", "clause", "required", "source", "texts")

    __call__: Predicate
    """A slot that holds the predicate itself: to call it through a method would double the cost of an equality."""

    texts: Mapping[str, frozenset[str]] | None
    """What `texts.texts_of` found; not set until somebody asks."""

    def __init__(self, source: Mapping[str, Any], clause: Clause) -> None:
        self.source = source
        self.clause = clause
        self.required = clause.required
        self.__call__ = clause.predicate

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked: a waypoint with empty conditions counts as inactive."""
        return _asks_nothing(self.clause)

    def explain(self, document: Mapping[str, Any]) -> tuple[Finding, ...]:
        """Say clause by clause what was asked, what was found, and the verdict."""
        return tuple(_finding(part, document) for part in self.clause.parts)


def _asks_nothing(clause: Clause) -> bool:
    if clause.operator == "$or":
        return any(map(_asks_nothing, clause.parts))
    return clause.operator == "$and" and all(map(_asks_nothing, clause.parts))


def _finding(clause: Clause, document: Mapping[str, Any]) -> Finding:
    found: tuple[Any, ...] = ()
    if clause.path is not None:
        values = values_at(document, parse_path(clause.path), spreads=False)
        found = tuple(value for value in values if value is not MISSING)[:FOUND]
    return Finding(
        operator=clause.operator,
        path=clause.path,
        asked=clause.asked,
        found=found,
        verdict=clause.predicate(document),
        parts=tuple(_finding(part, document) for part in clause.parts),
    )
