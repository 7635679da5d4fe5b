"""Queries to clauses. Everything that is not known to be safe is refused, with its path (semantics.md, section 3)."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from processor.core.conditions import operators
from processor.core.conditions.compiled import Clause, Conditions, Predicate
from processor.core.conditions.dialect import converted, with_dates
from processor.core.conditions.invalid import InvalidConditions
from processor.core.conditions.paths import DATE_FIELDS, any_at, parse_path
from processor.core.conditions.required import Requirement, all_of, any_of, one_of
from processor.core.conditions.values import MISSING, Test, Whole

DEPTH_LIMIT = 40

REFUSED = {
    "$where": "runs JavaScript",
    "$function": "runs JavaScript",
    "$accumulator": "runs JavaScript",
    "$expr": "runs aggregation expressions",
    "$personaIdent": "looks personas up",
    "$text": "needs a text index",
    "$jsonSchema": "is not part of the condition language",
    **dict.fromkeys(("$near", "$nearSphere", "$geoWithin", "$geoIntersects", "$within"), "is geographic"),
}


def compile_conditions(conditions: str | Mapping[str, Any]) -> Conditions:
    """Compile a Mongo query, given as an object or as a JSON string of one.

    Raises `InvalidConditions` with the path and the reason; nothing else, whatever the input.
    """
    if isinstance(conditions, str):
        try:
            conditions = orjson.loads(conditions) if conditions.strip() else {}
        except orjson.JSONDecodeError as error:
            raise InvalidConditions("$", f"not JSON: {error}") from None
    try:
        source = converted(conditions, "$", DEPTH_LIMIT)
        return Conditions(source, _query(source, "$"))
    except RecursionError:
        raise InvalidConditions("$", f"nested deeper than {DEPTH_LIMIT} levels") from None


def _query(query: Any, at: str) -> Clause:
    """`{path: …, $and: […], …}`: all of it must hold."""
    if not isinstance(query, Mapping):
        raise InvalidConditions(at, f"a query is an object, not {type(query).__name__}")
    parts = [part for key, value in query.items() for part in _entry(str(key), value, f"{at}.{key}")]
    return _all("$and", parts)


def _entry(key: str, value: Any, at: str) -> list[Clause]:
    if key == "$comment":
        return []
    if key in ("$and", "$or", "$nor"):
        if not isinstance(value, list) or not value:
            raise InvalidConditions(at, "needs a list of at least one query")
        parts = [_query(part, f"{at}[{number}]") for number, part in enumerate(value)]
        return [_all("$and", parts) if key == "$and" else _any(key, parts)]
    if key.startswith("$"):
        raise InvalidConditions(at, _refusal(key))
    return _field(key, value, at)


def _refusal(operator: str) -> str:
    if operator in REFUSED:
        return f"{operator} is not supported: it {REFUSED[operator]}"
    return f"unknown operator {operator}"


def _field(path: str, value: Any, at: str) -> list[Clause]:
    if path in DATE_FIELDS:
        value = with_dates(value, at)
    if operators.is_regex(value) and "$regularExpression" in value:
        return [_leaf(path, "$regex", value, operators.regex_of(value, at))]
    if not _is_operators(value, at):
        return [_leaf(path, "$eq", value, operators.eq(value, at), one_of(path, [value]))]
    return [clause for operator in value if (clause := _operator(path, operator, value, f"{at}.{operator}"))]


def _is_operators(value: Any, at: str) -> bool:
    """Tell `{$op: …}` from a document to equal; a mixture is neither."""
    if not isinstance(value, Mapping) or not value:
        return False
    marks = [str(key).startswith("$") for key in value]
    if any(marks) and not all(marks):
        raise InvalidConditions(at, "mixes operators and fields")
    return marks[0]


def _operator(path: str, operator: str, operands: Mapping[str, Any], at: str) -> Clause | None:
    """Compile one entry of `{path: {$op: asked, …}}`; None for what only goes with another or is ignored."""
    asked = operands[operator]
    if operator in ("$options", "$comment"):
        if operator == "$options" and "$regex" not in operands:
            raise InvalidConditions(at, "$options needs a $regex")
        return None
    if operator in NEGATIONS:
        positive = NEGATIONS[operator](asked, at)
        return _leaf(path, operator, asked, positive, is_negated=True)
    if operator == "$regex":
        return _leaf(path, operator, asked, operators.regex(asked, operands.get("$options", ""), at))
    if operator == "$exists":
        return _exists(path, asked)
    if operator == "$not":
        return _not(path, asked, at)
    if operator == "$all":
        return _all_elements(path, asked, at)
    if operator == "$elemMatch":
        test, inner = _element(asked, at)
        required = tuple(Requirement(f"{path}.{it.path}", it.values) for it in inner)
        return _leaf(path, operator, asked, _some_element(test), required)
    if operator in operators.VALUE_OPERATORS:
        test = operators.VALUE_OPERATORS[operator](asked, at)
        values = {"$eq": [asked], "$in": asked}.get(operator, [None])
        return _leaf(path, operator, asked, test, one_of(path, values))
    raise InvalidConditions(at, _refusal(operator))


NEGATIONS: dict[str, operators.Maker] = {"$ne": operators.eq, "$nin": operators.in_}


def _leaf(
    path: str,
    operator: str,
    asked: Any,
    test: Test,
    required: tuple[Requirement, ...] = (),
    *,
    is_negated: bool = False,
) -> Clause:
    found = any_at(parse_path(path), test)
    predicate: Predicate = (lambda document: not found(document)) if is_negated else found
    return Clause(operator, predicate, required, path, asked)


def _exists(path: str, asked: Any) -> Clause:
    is_there = any_at(parse_path(path), lambda found: found is not MISSING)
    predicate: Predicate = is_there if asked else lambda document: not is_there(document)
    return Clause("$exists", predicate, (), path, asked)


def _not(path: str, asked: Any, at: str) -> Clause:
    if operators.is_regex(asked):
        return _leaf(path, "$not", asked, operators.regex_of(asked, at), is_negated=True)
    if not _is_operators(asked, at):
        raise InvalidConditions(at, "$not needs operators or a regular expression")
    part = _all("$and", [clause for name in asked if (clause := _operator(path, name, asked, f"{at}.{name}"))])
    return Clause("$not", lambda document: not part.predicate(document), (), path, asked)


def _all_elements(path: str, asked: Any, at: str) -> Clause:
    if isinstance(asked, list) and asked and isinstance(asked[0], Mapping) and "$elemMatch" in asked[0]:
        if not all(isinstance(part, Mapping) and list(part) == ["$elemMatch"] for part in asked):
            raise InvalidConditions(at, "$all mixes $elemMatch with values")
        clauses = [_operator(path, "$elemMatch", part, f"{at}[{number}]") for number, part in enumerate(asked)]
        return _all("$all", [clause for clause in clauses if clause], path, asked)
    if not isinstance(asked, list):
        raise InvalidConditions(at, "needs a list")
    parts = [
        _leaf(path, "$regex", value, operators.regex_of(value, at))
        if operators.is_regex(value)
        else _leaf(path, "$eq", value, operators.eq(value, at), one_of(path, [value]))
        for value in asked
    ]
    if not parts:
        return Clause("$all", lambda _: False, (), path, asked)
    return _all("$all", parts, path, asked)


def _element(asked: Any, at: str) -> tuple[Test, tuple[Requirement, ...]]:
    """What `$elemMatch` asks of one element: operators on the element itself, or a query over a document."""
    if not isinstance(asked, Mapping):
        raise InvalidConditions(at, "$elemMatch needs an object")
    if _is_operators(asked, at) and not set(asked) & {"$and", "$or", "$nor"}:
        clauses = [clause for name in asked if (clause := _operator("value", name, asked, f"{at}.{name}"))]
        test = _all("$and", clauses).predicate
        # The element stands alone: an array in it is not searched again.
        return (lambda element: test({"value": Whole(element) if type(element) is list else element})), ()
    query = _query(asked, at)
    return (lambda element: isinstance(element, dict | list) and query.predicate(_as_document(element))), query.required


def _as_document(element: Any) -> Any:
    return {str(number): value for number, value in enumerate(element)} if isinstance(element, list) else element


def _some_element(test: Test) -> Test:
    return lambda found: isinstance(found, list) and any(map(test, found))


def _all(operator: str, parts: Sequence[Clause], path: str | None = None, asked: Any = None) -> Clause:
    required = all_of([part.required for part in parts])
    return Clause(operator, _conjunction([part.predicate for part in parts]), required, path, asked, tuple(parts))


def _conjunction(tests: list[Predicate]) -> Predicate:
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda document: first(document) and second(document)

    def every(document: Any) -> bool:
        for test in tests:  # noqa: SIM110 - a loop is a third faster than all() with a generator
            if not test(document):
                return False
        return True

    return every


def _any(operator: str, parts: Sequence[Clause]) -> Clause:
    tests = [part.predicate for part in parts]

    def some(document: Any) -> bool:
        for test in tests:  # noqa: SIM110
            if test(document):
                return True
        return False

    if operator == "$nor":
        return Clause(operator, lambda document: not some(document), parts=tuple(parts))
    return Clause(operator, some, any_of([part.required for part in parts]), parts=tuple(parts))
