"""Values as MongoDB compares them: brackets of types, numbers across types, documents field by field in order.

Decided otherwise than mongod (semantics.md, section 3): an ObjectId and its 24-hex string are the same value wherever
the one meets the other, under equality and order alike; keys are compared with their dots as `&46;`, as Learning
Locker stores them. Both hold within documents and arrays too.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from bson import Int64, ObjectId


class _Missing:
    """Nothing stands at the path."""

    def __repr__(self) -> str:
        return "(nothing)"


MISSING: Final = _Missing()

Test = Callable[[Any], bool]
"""A predicate on one value: what stands at a path, an element of an array there, or MISSING."""

NUMBER: Final = 2

_HEX: Final = re.compile(r"[0-9a-fA-F]{24}")

# MongoDB's order of types (BSON comparison order), as far as JSON, ids and dates go.
_BRACKETS: Final[dict[type, int]] = {
    _Missing: 1,
    type(None): 1,
    int: NUMBER,
    Int64: NUMBER,
    float: NUMBER,
    str: 3,
    dict: 4,
    list: 5,
    ObjectId: 7,
    bool: 8,
    datetime: 9,
}


def bracket(value: Any) -> int:
    """Return the type bracket: values of different brackets are neither equal nor, under `$gt` and so on, ordered."""
    return _BRACKETS.get(type(value), 0)


def types_of(kind: int) -> frozenset[type]:
    """Return the types of a bracket."""
    return frozenset(it for it, its_kind in _BRACKETS.items() if its_kind == kind)


def is_nan(value: Any) -> bool:
    """Tell the one number that differs from itself; MongoDB holds it equal to itself and below all others."""
    return type(value) is float and value != value  # noqa: PLR0124 - the definition


def is_id(text: str) -> bool:
    """Tell the 24 hex digits that spell an ObjectId; `ObjectId.is_valid` would let spaces through."""
    return len(text) == 24 and _HEX.fullmatch(text) is not None


def equal(one: Any, other: Any) -> bool:
    """Tell whether two values are equal to MongoDB: lists and documents to any depth, documents in key order.

    Recurses no deeper than the shallower of the two.
    """
    if bracket(one) != bracket(other):
        return _as_ids(one, other) == 0
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            _encoded(key) == _encoded(other_key) and equal(value, other_value)
            for (key, value), (other_key, other_value) in zip(one.items(), other.items(), strict=True)
        )
    if isinstance(one, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other) or (is_nan(one) and is_nan(other))


def compare(one: Any, other: Any) -> int:
    """Order two values as MongoDB sorts them: negative, zero or positive; across brackets by bracket.

    Recurses no deeper than the shallower of the two.
    """
    left, right = bracket(one), bracket(other)
    if left != right:
        as_ids = _as_ids(one, other)
        return left - right if as_ids is None else as_ids
    if isinstance(one, dict):
        return _compare_documents(one, other)
    if isinstance(one, list):
        orders = (order for order in map(compare, one, other) if order)
        return next(orders, len(one) - len(other))
    if one is None:
        return 0
    if is_nan(one) or is_nan(other):
        return is_nan(other) - is_nan(one)
    return _sign(one, other)  # of strings too: code points sort as their UTF-8 bytes do


def _compare_documents(one: dict[str, Any], other: dict[str, Any]) -> int:
    """Field by field: the type, then the name, then the value."""
    for (key, value), (other_key, other_value) in zip(one.items(), other.items(), strict=False):
        kind = bracket(value) - bracket(other_value)
        if kind and _as_ids(value, other_value) is None:
            return kind
        order = _sign(_encoded(key), _encoded(other_key)) or compare(value, other_value)
        if order:
            return order
    return len(one) - len(other)


def _as_ids(one: Any, other: Any) -> int | None:
    """Order an ObjectId and a string that spells one; None for any other pair."""
    if isinstance(one, str) and isinstance(other, ObjectId) and is_id(one):
        return _sign(one.lower(), str(other))
    if isinstance(one, ObjectId) and isinstance(other, str) and is_id(other):
        return _sign(str(one), other.lower())
    return None


def _sign(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def _encoded(key: str) -> str:
    return key.replace(".", "&46;") if "." in key else key


def key_of(value: Any) -> Any:
    """Return a hashable key such that equal values have equal keys; None for what cannot be indexed.

    None for null (missing fields equal it), NaN, documents and arrays. Unequal values may share a key: who looks
    things up by key finds candidates, the predicate decides.
    """
    kind = type(value)
    if kind is str:
        return value.lower() if len(value) == 24 else value
    if kind is bool:  # or True and 1 would be one key
        return ("bool", value)
    if kind is ObjectId:
        return str(value)
    if kind is datetime or (bracket(value) == NUMBER and not is_nan(value)):
        return value
    return None
