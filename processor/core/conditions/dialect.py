"""Learning Locker's dialect to plain values: ids, dates, numbers of Extended JSON (semantics.md, section 3)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bson import Int64, ObjectId, Regex

from processor.core.conditions.invalid import InvalidConditions
from schemas.ids import parse_object_id, parse_timestamp


def converted(value: Any, at: str, depth: int) -> Any:
    """Return a query with `{"$oid": …}`, `{"$dte": …}`, `{"$date": …}` and `{"$numberLong": …}` as plain values.

    Raises `InvalidConditions` on malformed ones, on what JSON cannot say, and beyond `depth` levels.
    """
    if depth == 0:
        raise InvalidConditions(at, "nested too deep")
    if isinstance(value, Mapping):
        if len(value) == 1:
            (key, inner) = next(iter(value.items()))
            if key in _SPELLINGS:
                return _spelled(key, inner, at)
        return {_key(key, at): converted(child, f"{at}.{key}", depth - 1) for key, child in value.items()}
    if isinstance(value, list):
        return [converted(child, f"{at}[{number}]", depth - 1) for number, child in enumerate(value)]
    if isinstance(value, Regex):
        flags = "".join(letter for letter, flag in (("i", 2), ("m", 8), ("s", 16)) if value.flags & flag)
        return {"$regex": value.pattern, "$options": flags}
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, Int64):
        return int(value)
    if value is None or type(value) in (str, int, float, bool, ObjectId):
        return value
    raise InvalidConditions(at, f"{type(value).__name__} is not a value of JSON")


def _key(key: Any, at: str) -> str:
    if not isinstance(key, str):
        raise InvalidConditions(at, f"the key {key!r:.40} is not a string")
    return key


def _spelled(key: str, inner: Any, at: str) -> Any:
    try:
        return _SPELLINGS[key](key, inner)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidConditions(f"{at}.{key}", str(error)) from None


def _number(key: str, inner: Any) -> int | float:
    if not isinstance(inner, str):
        raise ValueError(f"{key} needs a string")  # noqa: TRY004 - the caller takes ValueError for all of these
    return float(inner) if key == "$numberDouble" else int(inner)


_SPELLINGS = {
    "$oid": lambda key, inner: parse_object_id({key: inner}),
    "$dte": lambda key, inner: parse_timestamp({key: inner}),
    "$date": lambda key, inner: parse_timestamp({key: inner}),
    "$numberLong": _number,
    "$numberInt": _number,
    "$numberDouble": _number,
}


def with_dates(value: Any, at: str) -> Any:
    """Turn the strings that a Date field is compared with into dates, within operators and lists too."""
    if isinstance(value, str):
        try:
            return parse_timestamp(value)
        except ValueError as error:
            raise InvalidConditions(at, str(error)) from None
    if isinstance(value, list):
        return [with_dates(child, f"{at}[{number}]") for number, child in enumerate(value)]
    if isinstance(value, Mapping):
        kept = ("$type", "$comment", "$regex", "$options")
        return {key: child if key in kept else with_dates(child, f"{at}.{key}") for key, child in value.items()}
    return value
