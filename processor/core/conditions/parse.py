"""Queries to clauses. Everything that is not known to be safe is refused, with its path (semantics.md, section 3).

Decided otherwise than mongod: a path with an empty part, and an operator within a value to compare with, are refused,
as they can only be slips; `$comment` may also stand among the operators of a path. Refused as mongod refuses it is
what has no meaning (`$and` of nothing, `$not` of a value, …).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from processor.core.conditions.ask import asks_of, clause_at, conjunction, negation, refusal
from processor.core.conditions.compiled import Clause, Conditions
from processor.core.conditions.dialect import DATE_FIELDS, check_extent, converted, with_dates
from processor.core.conditions.invalid import InvalidConditions
from processor.core.conditions.paths import parse_path
from processor.core.conditions.regex import IN_CONDITIONS, Allowance, check_expressions
from processor.core.conditions.required import all_of, any_of
from processor.core.conditions.values import Test

TEXT_LIMIT: Final = 4_000_000
"""Characters of conditions written as a string."""


def compile_conditions(conditions: str | Mapping[str, Any], allowed: Allowance = IN_CONDITIONS) -> Conditions:
    """Compile a Mongo query, given as an object or as a JSON string of one, with no more expressions than are allowed.

    Raises `InvalidConditions` with the path and the reason; nothing else, whatever the input.
    """
    query = _read(conditions) if isinstance(conditions, str) else conditions
    if not isinstance(query, Mapping):
        raise InvalidConditions("$", f"a query is an object, not {type(query).__name__}")
    check_extent(query)
    source = converted(query, "$")
    if not isinstance(source, Mapping):
        raise InvalidConditions("$", "a query is an object, not an id or a date")
    check_expressions(source, allowed, "$")
    return Conditions(source, _all("$and", _entries(source, "$", is_root=True)))


def _read(text: str) -> Any:
    if len(text) > TEXT_LIMIT:
        raise InvalidConditions("$", f"longer than {TEXT_LIMIT} characters")
    try:
        return orjson.loads(text) if text.strip() else {}
    except orjson.JSONDecodeError as error:
        raise InvalidConditions("$", f"not JSON: {error}") from None


def _query(query: Any, at: str, *, is_root: bool = False) -> Clause:
    """`{path: …, $and: […], …}`: all of it must hold."""
    if not isinstance(query, Mapping):
        raise InvalidConditions(at, f"a query is an object, not {type(query).__name__}")
    clauses = _entries(query, at, is_root=is_root)
    return clauses[0] if len(clauses) == 1 else _all("$and", clauses)


def _entries(query: Mapping[str, Any], at: str, *, is_root: bool) -> list[Clause]:
    return [
        clause
        for key, value in query.items()
        if key != "$comment"
        for clause in _entry(key, value, f"{at}.{key}", is_root=is_root)
    ]


def _entry(key: str, value: Any, at: str, *, is_root: bool) -> list[Clause]:
    if key in ("$and", "$or", "$nor"):
        if not isinstance(value, list) or not value:
            raise InvalidConditions(at, "needs a list of at least one query")
        parts = [_query(part, f"{at}[{number}]", is_root=is_root) for number, part in enumerate(value)]
        return [_all("$and", parts) if key == "$and" else _some(key, parts)]
    if key.startswith("$"):
        raise InvalidConditions(at, refusal(key))
    return _field(key, value, at, is_root=is_root)


def _field(path: str, value: Any, at: str, *, is_root: bool) -> list[Clause]:
    if is_root and path in DATE_FIELDS:
        path, value = DATE_FIELDS[path], with_dates(value, at)
    try:
        parse_path(path)
    except ValueError as error:
        raise InvalidConditions(at, str(error)) from None
    return [clause_at(path, ask) for ask in asks_of(value, at, _query)]


def _all(operator: str, parts: Sequence[Clause]) -> Clause:
    test = conjunction([part.predicate for part in parts])
    return Clause(operator, test, all_of([part.required for part in parts]), parts=tuple(parts))


def _some(operator: str, parts: Sequence[Clause]) -> Clause:
    """`$or`; `$nor` is its contrary."""
    some = _disjunction([part.predicate for part in parts])
    if operator == "$nor":
        return Clause(operator, negation(some), parts=tuple(parts))
    return Clause(operator, some, any_of([part.required for part in parts]), parts=tuple(parts))


def _disjunction(tests: Sequence[Test]) -> Test:
    def some(value: Any) -> bool:
        for test in tests:  # noqa: SIM110 - a loop is a third faster than any() with a generator
            if test(value):
                return True
        return False

    return some
