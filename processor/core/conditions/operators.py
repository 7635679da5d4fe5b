"""The operators on one value: each maker takes the asked value and its JSON path (for errors) and returns a test."""

import math
import operator
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from bson import ObjectId

from processor.core.conditions.invalid import InvalidConditions
from processor.core.conditions.regex import is_regex, regex_of
from processor.core.conditions.values import MISSING, NUMBER, Test, bracket, compare, equal, is_id, is_nan, key_of

Maker = Callable[[Any, str], Test]


def literal(asked: Any, at: str) -> Any:
    """Return a value to compare with. Raises `InvalidConditions` for an operator in it: there it would mean nothing.

    mongod compares with the key `$gt` letter by letter, which no statement has; who writes it meant something else.
    """
    if isinstance(asked, dict):
        for key, child in asked.items():
            if key.startswith("$"):
                raise InvalidConditions(f"{at}.{key}", f"{key} is no operator here, within a value to compare with")
            literal(child, f"{at}.{key}")
    elif isinstance(asked, list):
        for number, child in enumerate(asked):
            literal(child, f"{at}[{number}]")
    return asked


def eq(asked: Any, at: str) -> Test:
    """`$eq`: the same value; null also means missing."""
    return _equality(literal(asked, at))


def _equality(asked: Any) -> Test:
    if asked is None:
        return lambda found: found is None or found is MISSING
    if type(asked) is bool:
        return lambda found: found is asked
    if (type(asked) is str and not is_id(asked)) or type(asked) is datetime:  # the common cases
        return lambda found: bool(found == asked)
    if bracket(asked) == NUMBER and not is_nan(asked):
        return lambda found: found == asked and type(found) is not bool
    return lambda found: equal(asked, found)


def _ordered(passes: Callable[[Any, Any], bool]) -> Maker:
    """`$gt`, `$gte`, `$lt`, `$lte`: ordered so, within one bracket; NaN and null only equal themselves."""

    def maker(asked: Any, at: str) -> Test:
        literal(asked, at)
        if asked is None or is_nan(asked):
            same = _equality(asked)
            return same if passes(0, 0) else lambda _: False
        kind = bracket(asked)
        if isinstance(asked, dict | list | ObjectId) or (isinstance(asked, str) and is_id(asked)):
            others = {ObjectId, str} if isinstance(asked, ObjectId | str) else {type(asked)}
            return lambda found: (
                type(found) in others and _is_comparable(found, asked) and passes(compare(found, asked), 0)
            )
        return lambda found: bracket(found) == kind and passes(found, asked)  # NaN passes no comparison by itself

    return maker


def _is_comparable(found: Any, asked: Any) -> bool:
    """Whether they are of one bracket, or an ObjectId and a string that spells one."""
    return type(found) is type(asked) or is_id(found if isinstance(found, str) else asked)


def in_(asked: Any, at: str) -> Test:
    """`$in`: equal to one of the values, or matching one of the regular expressions. One look-up, however many."""
    strings: set[str] = set()
    by_key: dict[Any, list[Test]] = {}
    others: list[Test] = []
    for number, value in enumerate(a_list(asked, at)):
        if is_regex(value):
            others.append(regex_of(value, f"{at}[{number}]"))
        elif type(value) is str and not is_id(value):
            strings.add(value)
        else:
            key = key_of(value)
            (others if key is None else by_key.setdefault(key, [])).append(eq(value, f"{at}[{number}]"))
    if not by_key and not others:
        return lambda found: type(found) is str and found in strings

    def test(found: Any) -> bool:
        if type(found) is str and found in strings:
            return True
        tests = by_key.get(key_of(found), ())
        return any(test(found) for test in tests) or any(test(found) for test in others)

    return test


def a_list(asked: Any, at: str) -> list[Any]:
    """Return what must be a list."""
    if not isinstance(asked, list):
        raise InvalidConditions(at, "needs a list")
    return asked


def size(asked: Any, at: str) -> Test:
    """`$size`: an array of exactly so many elements."""
    if not _is_finite(asked) or asked != int(asked) or not 0 <= asked < 2**31:
        raise InvalidConditions(at, "$size needs a whole number, 0 or more")
    return lambda found: isinstance(found, list) and len(found) == asked


def mod(asked: Any, at: str) -> Test:
    """`$mod`: [divisor, remainder], both cut to whole numbers; the remainder has the sign of what is divided."""
    if not isinstance(asked, list) or len(asked) != 2 or not all(map(_is_long, asked)):
        raise InvalidConditions(at, "$mod needs [divisor, remainder], two numbers of 64 bits")
    divisor, remainder = (int(value) for value in asked)
    if divisor == 0:
        raise InvalidConditions(at, "$mod cannot divide by 0")

    def test(found: Any) -> bool:
        if not _is_long(found):
            return False
        rest = abs(int(found)) % abs(divisor)
        return (rest if found >= 0 else -rest) == remainder

    return test


def _is_finite(value: Any) -> bool:
    return bracket(value) == NUMBER and (not isinstance(value, float) or math.isfinite(value))


def _is_long(value: Any) -> bool:
    """Whether a number, cut to a whole one, has 64 bits."""
    return _is_finite(value) and -(2**63) <= int(value) < 2**63


_INT = range(-(2**31), 2**31)
_LONG = range(-(2**63), 2**63)


def _is_whole(found: Any) -> bool:
    return bracket(found) == NUMBER and not isinstance(found, float)


_TYPES: Final[dict[str, tuple[int, Test]]] = {
    "double": (1, lambda found: type(found) is float),
    "string": (2, lambda found: type(found) is str),
    "object": (3, lambda found: isinstance(found, dict)),
    "array": (4, lambda found: isinstance(found, list)),
    "objectId": (7, lambda found: type(found) is ObjectId),
    "bool": (8, lambda found: type(found) is bool),
    "date": (9, lambda found: type(found) is datetime),
    "null": (10, lambda found: found is None),
    "int": (16, lambda found: _is_whole(found) and found in _INT),
    "long": (18, lambda found: _is_whole(found) and found in _LONG and found not in _INT),
} | {
    name: (number, lambda _: False)  # BSON types that a statement document cannot have
    for name, number in {
        "minKey": -1,
        "binData": 5,
        "undefined": 6,
        "regex": 11,
        "dbPointer": 12,
        "javascript": 13,
        "symbol": 14,
        "javascriptWithScope": 15,
        "timestamp": 17,
        "decimal": 19,
        "maxKey": 127,
    }.items()
}
_TESTS: Final[dict[Any, Test]] = dict(_TYPES.values()) | {name: test for name, (_, test) in _TYPES.items()}
_TESTS["number"] = lambda found: bracket(found) == NUMBER


def type_(asked: Any, at: str) -> Test:
    """`$type`: by name, by number, or one of a list; a whole number is an int or a long, as PyMongo writes it."""
    names = asked if isinstance(asked, list) else [asked]
    if not names:
        raise InvalidConditions(at, "$type needs a type")
    for name in names:
        if type(name) not in (str, int, float) or name not in _TESTS:
            raise InvalidConditions(at, f"$type does not know {name!r:.40}")
    tests = [_TESTS[name] for name in names]
    return tests[0] if len(tests) == 1 else lambda found: any(test(found) for test in tests)


def is_truthy(asked: Any) -> bool:
    """What `$exists` takes for yes: everything but false, null and 0."""
    return asked is not None and not (bracket(asked) in (NUMBER, bracket(True)) and asked == 0)


ON_VALUES: Final[dict[str, Maker]] = {
    "$eq": eq,
    "$gt": _ordered(operator.gt),
    "$gte": _ordered(operator.ge),
    "$lt": _ordered(operator.lt),
    "$lte": _ordered(operator.le),
    "$in": in_,
    "$mod": mod,
    "$type": type_,
}
"""The operators on values: an array passes when the whole of it or one of its elements does."""
