"""What is asked at a path, before it is bound to one: the same question is put to a path or to an element alone.

MongoDB puts `{"a": {"$gt": 1}}` to the elements of an array at `a`, but within `$elemMatch` to the element alone, an
array in it whole. So operators become an `Ask`, and that becomes a clause at a path or a test of one value.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from processor.core.conditions import operators
from processor.core.conditions.compiled import Clause
from processor.core.conditions.invalid import InvalidConditions
from processor.core.conditions.paths import any_at, equal_at, parse_path
from processor.core.conditions.regex import is_regex, regex, regex_of
from processor.core.conditions.required import Requirements, all_of, one_of, within
from processor.core.conditions.values import MISSING, Test

Query = Callable[[Any, str], Clause]
"""Compiles a query over a document; handed in, as queries and `$elemMatch` hold each other."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One operator: its test on one value, or `parts` that must all hold."""

    operator: str
    asked: Any
    test: Test = lambda _: True
    spreads: bool = True
    """Whether an array also passes when one of its elements does."""
    is_negated: bool = False
    values: Sequence[Any] | None = None
    """What the value must equal one of."""
    inner: Requirements = ()
    """What an element of the array must have."""
    parts: tuple["Ask", ...] | None = None


def clause_at(path: str, ask: Ask) -> Clause:
    """Put the question to what stands at a path of a document."""
    if ask.parts is None:
        if ask.operator == "$eq" and operators.is_plain(ask.asked):
            predicate = equal_at(parse_path(path), ask.asked)
        else:
            predicate = any_at(parse_path(path), ask.test, spreads=ask.spreads)
        required = one_of(path, ask.values) if ask.values is not None else within(path, ask.inner)
    else:
        clauses = [clause_at(path, part) for part in ask.parts]
        predicate = conjunction([clause.predicate for clause in clauses])
        required = all_of([clause.required for clause in clauses])
    if ask.is_negated:
        return Clause(ask.operator, negation(predicate), (), path, ask.asked)
    return Clause(ask.operator, predicate, required, path, ask.asked)


def test_alone(ask: Ask) -> Test:
    """Put the question to one value by itself."""
    test = ask.test if ask.parts is None else conjunction([test_alone(part) for part in ask.parts])
    return negation(test) if ask.is_negated else test


def conjunction(tests: Sequence[Test]) -> Test:
    """All of them, in order."""
    if len(tests) == 1:
        return tests[0]
    if len(tests) == 2:
        first, second = tests
        return lambda value: first(value) and second(value)
    if len(tests) == 3:
        one, two, three = tests
        return lambda value: one(value) and two(value) and three(value)

    def every(value: Any) -> bool:
        for test in tests:  # noqa: SIM110 - a loop is a third faster than all() with a generator
            if not test(value):
                return False
        return True

    return every


def negation(test: Test) -> Test:
    """The contrary."""
    return lambda value: not test(value)


def is_operators(value: Any) -> bool:
    """Tell `{$op: …}` from a document to equal, by its first key as mongod does."""
    return isinstance(value, Mapping) and next(iter(value), "").startswith("$")


def is_about_element(asked: Any) -> bool:
    """Tell operators on the element itself from a query over it: what `$elemMatch` asks, by its first key."""
    return is_operators(asked) and next(iter(asked)) not in ("$and", "$or", "$nor", "$comment")


def asks_of(value: Any, at: str, query: Query) -> list[Ask]:
    """Read what stands beside a path: a regular expression, operators, or a value to equal."""
    if is_regex(value) and "$regularExpression" in value:
        return [Ask("$regex", value, regex_of(value, at))]
    if not is_operators(value):
        return [Ask("$eq", value, operators.eq(value, at), values=[value])]
    asks = [
        _ask(operator, value, f"{at}.{operator}", query)
        for operator in value
        if operator != "$comment" and not (operator == "$options" and "$regex" in value)
    ]
    if not asks:
        raise InvalidConditions(at, "asks nothing")
    return asks


def _ask(operator: str, operands: Mapping[str, Any], at: str, query: Query) -> Ask:
    asked = operands[operator]
    if operator in operators.ON_VALUES:
        test = operators.ON_VALUES[operator](asked, at)
        return Ask(operator, asked, test, values={"$eq": [asked], "$in": asked}.get(operator))
    if operator in ("$ne", "$nin"):
        maker = operators.eq if operator == "$ne" else operators.in_
        return Ask(operator, asked, maker(asked, at), is_negated=True)
    if operator == "$regex":
        return Ask(operator, asked, regex(asked, operands.get("$options", ""), at))
    if operator == "$exists":
        is_asked = operators.is_truthy(asked)
        return Ask(operator, asked, lambda found: found is not MISSING, spreads=False, is_negated=not is_asked)
    if operator == "$size":
        return Ask(operator, asked, operators.size(asked, at), spreads=False)
    if operator == "$not":
        return _not(asked, at, query)
    if operator == "$all":
        return _all(asked, at, query)
    if operator == "$elemMatch":
        return _elem_match(asked, at, query)
    raise InvalidConditions(at, refusal(operator))


def _not(asked: Any, at: str, query: Query) -> Ask:
    if not is_operators(asked):
        raise InvalidConditions(at, "$not needs operators or a regular expression")
    return Ask("$not", asked, is_negated=True, parts=tuple(asks_of(asked, at, query)))


def _all(asked: Any, at: str, query: Query) -> Ask:
    """`$all`: each of the values is there, or each `$elemMatch` holds; of none, nothing matches."""
    parts = []
    for number, value in enumerate(operators.a_list(asked, at)):
        here = f"{at}[{number}]"
        if is_regex(value):
            parts.append(Ask("$regex", value, regex_of(value, here)))
        elif isinstance(value, Mapping) and list(value) == ["$elemMatch"]:
            parts.append(_elem_match(value["$elemMatch"], f"{here}.$elemMatch", query))
        else:
            parts.append(Ask("$eq", value, operators.eq(value, here), values=[value]))
    if len({part.operator == "$elemMatch" for part in parts}) > 1:
        raise InvalidConditions(at, "$all mixes $elemMatch with values")
    return Ask("$all", asked, parts=tuple(parts)) if parts else Ask("$all", asked, lambda _: False)


def _elem_match(asked: Any, at: str, query: Query) -> Ask:
    """`$elemMatch`: one element of the array meets all of it: operators on the element, or a query over a document."""
    if not isinstance(asked, Mapping):
        raise InvalidConditions(at, "$elemMatch needs an object")
    if is_about_element(asked):
        test = conjunction([test_alone(ask) for ask in asks_of(asked, at, query)])
        return Ask("$elemMatch", asked, lambda found: isinstance(found, list) and any(map(test, found)), spreads=False)
    clause = query(asked, at)

    def passes(found: Any) -> bool:
        return isinstance(found, list) and any(
            clause.predicate(_as_document(element)) for element in found if isinstance(element, dict | list)
        )

    return Ask("$elemMatch", asked, passes, spreads=False, inner=clause.required)


def _as_document(element: dict[str, Any] | list[Any]) -> dict[str, Any]:
    """An array in an array is a document of its positions, as BSON has it."""
    return element if isinstance(element, dict) else {str(number): value for number, value in enumerate(element)}


_REFUSED: Final = {
    "$where": "runs JavaScript",
    "$function": "runs JavaScript",
    "$accumulator": "runs JavaScript",
    "$expr": "runs aggregation expressions",
    "$personaIdent": "looks personas up",
    "$text": "needs a text index",
    "$jsonSchema": "is not part of the condition language",
    **dict.fromkeys(
        ("$near", "$nearSphere", "$geoWithin", "$geoIntersects", "$geoNear", "$within"),
        "is geographic",
    ),
}


def refusal(operator: str) -> str:
    """Why an operator is not run."""
    if operator in _REFUSED:
        return f"{operator} is not supported: it {_REFUSED[operator]}"
    if operator == "$options":
        return "$options needs a $regex"
    return f"unknown operator {operator}" if len(operator) < 40 else f"unknown operator {operator:.40}…"
