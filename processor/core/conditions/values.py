"""Values as MongoDB compares them: brackets of types, numbers across types, documents field by field in order.

Decided otherwise than mongod (semantics.md, section 3): an ObjectId equals its 24-hex string; keys that differ only in
`&46;` for a dot are the same key.
"""

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from bson import ObjectId


class _Missing:
    """Nothing stands at the path."""

    def __repr__(self) -> str:
        return "(nothing)"


MISSING: Final = _Missing()


class Whole(list[Any]):
    """An array that is tested as a whole only: an element of an array under `$elemMatch`."""


# MongoDB's order of types (BSON comparison order), as far as JSON, ids and dates go.
_BRACKETS: dict[type, int] = {
    _Missing: 1,
    type(None): 1,
    int: 2,
    float: 2,
    str: 3,
    dict: 4,
    list: 5,
    Whole: 5,
    ObjectId: 7,
    bool: 8,
    datetime: 9,
}


def bracket(value: Any) -> int:
    """Return the type bracket: values of different brackets are neither equal nor, under `$gt` and so on, ordered."""
    return _BRACKETS.get(type(value), 0)


def equal(one: Any, other: Any) -> bool:
    """Tell whether two values are equal to MongoDB; lists and documents to any depth, documents in key order."""
    kind, other_kind = type(one), type(other)
    if kind is not other_kind:
        if kind is ObjectId and other_kind is str:
            return bool(str(one) == other.lower())
        if kind is str and other_kind is ObjectId:
            return bool(one.lower() == str(other))
        if bracket(one) != bracket(other):
            return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            _plain(key) == _plain(other_key) and equal(value, other_value)
            for (key, value), (other_key, other_value) in zip(one.items(), other.items(), strict=True)
        )
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other) or (_is_nan(one) and _is_nan(other)) or (one is MISSING or one is None)


def compare(one: Any, other: Any) -> int:
    """Order two values as MongoDB sorts them: negative, zero or positive; across brackets by bracket."""
    left, right = bracket(one), bracket(other)
    if left != right:
        return left - right
    if left == 1:
        return 0
    if isinstance(one, dict):
        return _compare_documents(list(one.items()), list(other.items()))
    if isinstance(one, list):
        return _compare_lists(one, other)
    if _is_nan(one) or _is_nan(other):
        return _is_nan(other) - _is_nan(one)
    if isinstance(one, str):  # MongoDB compares strings byte by byte
        one, other = one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    return int(one > other) - int(one < other)


def _compare_lists(one: list[Any], other: list[Any]) -> int:
    for left, right in zip(one, other, strict=False):
        order = compare(left, right)
        if order:
            return order
    return len(one) - len(other)


def _compare_documents(one: list[tuple[str, Any]], other: list[tuple[str, Any]]) -> int:
    """Field by field: the type, then the name, then the value."""
    for (key, value), (other_key, other_value) in zip(one, other, strict=False):
        order = bracket(value) - bracket(other_value) or compare(_plain(key), _plain(other_key))
        order = order or compare(value, other_value)
        if order:
            return order
    return len(one) - len(other)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _plain(key: str) -> str:
    return key.replace("&46;", ".") if "&46;" in key else key


def key_of(value: Any) -> Any:
    """Return a hashable key such that equal values have equal keys; None for what cannot be indexed.

    Unequal values may share a key: the index finds candidates, the predicate decides.
    """
    kind = type(value)
    if kind is str:
        return value.lower() if len(value) == 24 else value
    if kind is bool:
        return ("bool", value)
    if kind in (int, float):
        return None if _is_nan(value) else ("number", value)
    if kind is ObjectId:
        return str(value)
    return value if kind is datetime else None


Test = Callable[[Any], bool]
"""A predicate on the value found at a path, `MISSING` for nothing."""
