"""Learning Locker's dialect to plain values: ids, dates, numbers of Extended JSON (semantics.md, section 3)."""

from collections.abc import Mapping
from datetime import datetime
from sys import intern
from typing import Any, Final

from bson import Int64, ObjectId, Regex

from processor.core.conditions.invalid import InvalidConditions
from schemas.conditions import fits
from schemas.ids import parse_object_id, parse_timestamp

DEPTH_LIMIT: Final = 40
SIZE_LIMIT: Final = 100_000

_PLAIN: Final = frozenset({str, int, float, bool, type(None), ObjectId})
"""Types of values that stay as they are."""

DATE_FIELDS: Final = {"statement.timestamp": "timestamp", "statement.stored": "stored"}
"""In conditions these mean the document's Date fields (learning-locker-behaviour.md, section 5.1)."""


def check_extent(query: Any) -> None:
    """Raise `InvalidConditions` for more than so many levels or values. Needs no stack, unlike what comes after it."""
    level, depth, size = [query], 0, 1
    while level := [value for value in level if type(value) not in _PLAIN and isinstance(value, Mapping | list)]:
        depth += 1
        if depth > DEPTH_LIMIT:
            raise InvalidConditions("$", f"nested deeper than {DEPTH_LIMIT} levels")
        level = [child for value in level for child in (value.values() if isinstance(value, Mapping) else value)]
        size += len(level)
        if size > SIZE_LIMIT:
            raise InvalidConditions("$", f"holds more than {SIZE_LIMIT} values")


def converted(value: Any, at: str) -> Any:
    """Return a query with `{"$oid": …}`, `{"$dte": …}`, `{"$date": …}` and `{"$numberLong": …}` as plain values.

    Raises `InvalidConditions` on malformed ones, and on what JSON cannot say.
    """
    if type(value) is str:
        return _text(value, at)
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Mapping):
        if len(value) == 1:
            (key, inner) = next(iter(value.items()))
            if key in _SPELLINGS:
                return _spelled(key, inner, at)
        return {_key(key, at): converted(child, f"{at}.{key}") for key, child in value.items()}
    if isinstance(value, list):
        return [converted(child, f"{at}[{number}]") for number, child in enumerate(value)]
    if isinstance(value, Regex):
        flags = "".join(letter for letter, flag in (("i", 2), ("m", 8), ("s", 16), ("x", 64)) if value.flags & flag)
        return {"$regex": value.pattern, "$options": flags}
    if isinstance(value, datetime):
        return parse_timestamp(value)
    if isinstance(value, Int64):
        return int(value)
    raise InvalidConditions(at, f"{type(value).__name__} is not a value of JSON")


def _key(key: Any, at: str) -> str:
    if not isinstance(key, str):
        raise InvalidConditions(at, f"the key {key!r:.40} is not a string")
    return _text(key, at)


def _text(text: str, at: str) -> str:
    """Return the text, one for all conditions: thousands of them name the same paths and verbs."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidConditions(at, "half a surrogate pair is not text: UTF-8 cannot write it") from None
    return intern(text)


def _spelled(key: str, inner: Any, at: str) -> Any:
    try:
        return _SPELLINGS[key](key, inner)
    except ValueError as error:
        raise InvalidConditions(f"{at}.{key}", str(error)) from None


def _number(key: str, inner: Any) -> int | float:
    if not isinstance(inner, str):
        raise ValueError(f"{key} needs a string")  # noqa: TRY004 - the caller takes ValueError for all of these
    if key == "$numberDouble":
        return float(inner)
    number = int(inner)
    if not fits(number):
        raise ValueError(f"{inner:.40} has more than 64 bits")
    return number


_SPELLINGS = {
    "$oid": lambda key, inner: parse_object_id({key: inner}),
    "$dte": lambda key, inner: parse_timestamp({key: inner}),
    "$date": lambda key, inner: parse_timestamp({key: inner}),
    "$numberLong": _number,
    "$numberInt": _number,
    "$numberDouble": _number,
}

_COMPARING: Final = {"$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$all", "$not"}


def with_dates(value: Any, at: str) -> Any:
    """Turn the strings that a Date field is compared with into dates, in lists and under comparing operators too."""
    if isinstance(value, str):
        try:
            return parse_timestamp(value)
        except ValueError as error:
            raise InvalidConditions(at, str(error)) from None
    if isinstance(value, list):
        return [with_dates(child, f"{at}[{number}]") for number, child in enumerate(value)]
    if isinstance(value, Mapping):
        return {key: with_dates(child, f"{at}.{key}") if key in _COMPARING else child for key, child in value.items()}
    return value
