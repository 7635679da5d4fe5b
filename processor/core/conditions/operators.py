"""The operators on one value: what `{path: {$op: asked}}` means for what stands at the path.

Each maker takes the asked value and its JSON path (for errors) and returns a test. Unless said otherwise a value that
is an array passes when the whole of it or one of its elements does.
"""

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

import re2
from bson import ObjectId

from processor.core.conditions.invalid import InvalidConditions
from processor.core.conditions.values import MISSING, Test, bracket, compare, equal

Maker = Callable[[Any, str], Test]


def eq(asked: Any, at: str) -> Test:  # noqa: ARG001 - every maker has the same shape
    """`$eq`: null also means missing."""
    kind = type(asked)
    if kind is str and len(asked) != 24:  # the common case, without the id's other spelling
        return lambda found: found == asked if type(found) is str else type(found) is list and asked in found
    if asked is None:
        return lambda found: found is None or found is MISSING or (type(found) is list and None in found)
    return _with_elements(lambda found: equal(asked, found))


def _ordered(passes: Callable[[int], bool]) -> Maker:
    def maker(asked: Any, at: str) -> Test:  # noqa: ARG001
        kind = bracket(asked)
        plain = asked is not None and not isinstance(asked, dict | list | str | float)
        with_null = asked is None and passes(0)
        if asked is None:
            return _with_elements(lambda found: with_null and bracket(found) == kind)
        if isinstance(asked, float) and math.isnan(asked):
            return _with_elements(lambda found: isinstance(found, float) and math.isnan(found) and passes(0))

        def test(found: Any) -> bool:
            if bracket(found) != kind or (isinstance(found, float) and math.isnan(found)):
                return False
            return passes((found > asked) - (found < asked) if plain else compare(found, asked))

        return _with_elements(test)

    return maker


def _with_elements(test: Test) -> Test:
    return lambda found: test(found) or (type(found) is list and any(map(test, found)))


def in_(asked: Any, at: str) -> Test:
    """`$in`: equal to one of the values, or matching one of the regular expressions."""
    tests = [
        regex(*_regex_parts(value, f"{at}[{number}]"), f"{at}[{number}]") if is_regex(value) else eq(value, at)
        for number, value in enumerate(_list(asked, at))
    ]
    simple = {value for value in asked if type(value) is str and len(value) != 24}
    if len(simple) == len(asked):
        return lambda found: (
            found in simple
            if type(found) is str
            else type(found) is list and any(type(element) is str and element in simple for element in found)
        )
    return lambda found: any(test(found) for test in tests)


def all_(asked: Any, at: str) -> Test:
    """`$all`: each of the values is there; of none, nothing matches."""
    tests = [eq(value, f"{at}[{number}]") for number, value in enumerate(_list(asked, at))]
    return lambda found: bool(tests) and all(test(found) for test in tests)


def size(asked: Any, at: str) -> Test:
    """`$size`: an array of exactly so many elements."""
    if isinstance(asked, bool) or not isinstance(asked, int | float) or asked != int(asked) or asked < 0:
        raise InvalidConditions(at, "$size needs a whole number, 0 or more")
    return lambda found: isinstance(found, list) and len(found) == asked


def mod(asked: Any, at: str) -> Test:
    """`$mod`: [divisor, remainder], both cut to whole numbers; the remainder has the sign of what is divided."""
    if not isinstance(asked, list) or len(asked) != 2 or any(not _is_finite(value) for value in asked):
        raise InvalidConditions(at, "$mod needs [divisor, remainder]")
    divisor, remainder = (int(value) for value in asked)
    if divisor == 0:
        raise InvalidConditions(at, "$mod cannot divide by 0")
    return _with_elements(
        lambda found: _is_finite(found) and int(math.copysign(abs(int(found)) % abs(divisor), found)) == remainder
    )


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_TYPES: dict[str, tuple[int, Test]] = {
    "double": (1, lambda found: type(found) is float),
    "string": (2, lambda found: type(found) is str),
    "object": (3, lambda found: type(found) is dict),
    "array": (4, lambda found: isinstance(found, list)),
    "objectId": (7, lambda found: type(found) is ObjectId),
    "bool": (8, lambda found: type(found) is bool),
    "date": (9, lambda found: isinstance(found, datetime)),
    "null": (10, lambda found: found is None),
    "int": (16, lambda found: type(found) is int and -(2**31) <= found < 2**31),
    "long": (18, lambda found: type(found) is int and not -(2**31) <= found < 2**31),
}
_OTHER_TYPES = {
    "binData": 5,
    "undefined": 6,
    "regex": 11,
    "dbPointer": 12,
    "javascript": 13,
    "symbol": 14,
    "javascriptWithScope": 15,
    "timestamp": 17,
    "decimal": 19,
    "minKey": -1,
    "maxKey": 127,
}
_BY_NUMBER = dict(_TYPES.values()) | dict.fromkeys(_OTHER_TYPES.values(), lambda _: False)


def type_(asked: Any, at: str) -> Test:
    """`$type`: by name, number, or a list of them; types that a statement cannot have match nothing."""
    tests = [_type_test(value, at) for value in (asked if isinstance(asked, list) else [asked])]
    if not tests:
        raise InvalidConditions(at, "$type needs a type")
    return _with_elements(lambda found: any(test(found) for test in tests))


def _type_test(asked: Any, at: str) -> Test:
    if asked == "number":
        return lambda found: bracket(found) == 2
    if isinstance(asked, str):
        if asked in _TYPES:
            return _TYPES[asked][1]
        if asked in _OTHER_TYPES:
            return lambda _: False
    if isinstance(asked, int | float) and not isinstance(asked, bool) and asked in _BY_NUMBER:
        return _BY_NUMBER[int(asked)]
    raise InvalidConditions(at, f"$type does not know {asked!r:.40}")


def is_regex(value: Any) -> bool:
    """Tell the JSON spelling of a regular expression, as `$in`, `$not` and `$all` may hold one."""
    return isinstance(value, dict) and ("$regex" in value or "$regularExpression" in value)


def _regex_parts(value: dict[str, Any], at: str) -> tuple[Any, Any]:
    inner = value.get("$regularExpression")
    if isinstance(inner, dict):
        value, names = inner, {"pattern": "$regex", "options": "$options"}
        value = {names.get(key, key): child for key, child in value.items()}
    unknown = set(value) - {"$regex", "$options"}
    if unknown:
        raise InvalidConditions(at, f"{min(unknown)} does not belong to a regular expression")
    return value.get("$regex"), value.get("$options", "")


def regex_of(value: dict[str, Any], at: str) -> Test:
    """Compile `{$regex, $options}`."""
    return regex(*_regex_parts(value, at), at)


def regex(pattern: Any, options: Any, at: str) -> Test:
    """`$regex` with `$options` i, m, s, run by RE2: in linear time, so that no condition can stall the stream."""
    if is_regex(pattern):
        pattern, inner = _regex_parts(pattern, at)
        options = options or inner
    if not isinstance(pattern, str) or not isinstance(options, str):
        raise InvalidConditions(at, "$regex and $options need strings")
    unknown = set(options) - set("imsu")
    if unknown:
        raise InvalidConditions(at, f"$options: {''.join(sorted(unknown))} is not supported (i, m and s are)")
    flags = "".join(sorted(set(options) - {"u"}))
    re_options = re2.Options()
    re_options.log_errors = False
    try:
        compiled = re2.compile(f"(?{flags}){pattern}" if flags else pattern, re_options)
    except (re2.error, UnicodeEncodeError) as error:
        raise InvalidConditions(at, f"the regular expression cannot be run by RE2: {_text(error)}") from None

    def test(found: Any) -> bool:
        if type(found) is not str:
            return False
        try:
            return compiled.search(found) is not None
        except UnicodeEncodeError:  # a lone surrogate: no such text exists
            return False

    return _with_elements(test)


def _text(error: Exception) -> str:
    message = error.args[0] if error.args else error
    return message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)


def _list(asked: Any, at: str) -> list[Any]:
    if not isinstance(asked, list):
        raise InvalidConditions(at, "needs a list")
    return asked


VALUE_OPERATORS: dict[str, Maker] = {
    "$eq": eq,
    "$gt": _ordered(lambda order: order > 0),
    "$gte": _ordered(lambda order: order >= 0),
    "$lt": _ordered(lambda order: order < 0),
    "$lte": _ordered(lambda order: order <= 0),
    "$in": in_,
    "$size": size,
    "$mod": mod,
    "$type": type_,
}
"""The operators that say yes to a value; `$ne`, `$nin`, `$not` and `$nor` say no to one of these."""
