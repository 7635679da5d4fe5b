"""Cursors: a place in a sorted set, as base64 of the JSON of the sort values (Learning Locker's own are read, too).

A page begins beyond a place, whether or not the document that made it is still there; so nothing is lost or repeated
while others write. MongoDB's `$gt` and `$lt` only see values of the same type: the others are added by type.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import orjson

from processor.core.conditions import InvalidConditions
from processor.core.conditions.dialect import check_extent, converted
from processor.core.queries.models import SPELLED, Model, cast, written
from processor.core.queries.sorting import Sort
from processor.errors import InvalidInput
from schemas.ids import parse_far

Place = tuple[tuple[str, int, Any], ...]
"""Path, direction and value for each sort key."""

LENGTH_LIMIT: Final = 8_192
TYPES: Final = (
    "null",
    "number",
    "string",
    "object",
    "array",
    "binData",
    "objectId",
    "bool",
    "date",
    "timestamp",
    "regex",
)
"""MongoDB's order of types."""


def cursor_at(sort: Sort, values: Sequence[Any], model: Model) -> str:
    """Write the place of a document that has these values at the sort's paths.

    Raises `InvalidInput` for a list, for what JSON does not hold (bytes, NaN), which would come back as another type,
    and for values so long that the cursor would not be taken.
    """
    for (path, _), value in zip(sort, values, strict=True):
        if isinstance(value, list):
            raise InvalidInput(f"sort: {path} holds a list: there is no paging by it")
    place = {path: written(model.kind_at(path), value) for (path, _), value in zip(sort, values, strict=True)}
    for path, value in place.items():
        if not _is_json(value):
            raise InvalidInput(f"sort: {path} holds what JSON cannot hold: page by another, such as _id")
    text = b64encode(orjson.dumps(place)).decode()
    if len(text) > LENGTH_LIMIT:
        longest = max(place, key=lambda path: len(orjson.dumps(place[path])))
        raise InvalidInput(f"sort: {longest} holds a value too long for a cursor: page by another, such as _id")
    return text


def _is_json(value: Any) -> bool:
    try:
        return bool(orjson.loads(orjson.dumps(value)) == value)
    except orjson.JSONEncodeError:
        return False


def place_from(text: str, sort: Sort, model: Model, parameter: str, named: Collection[str] = ()) -> Place:
    """Read a cursor for this sort; one without the last keys, as Learning Locker's have no `_id`, is fine.

    `named` are the paths that the caller's sort names. Learning Locker's cursors have those alone, also those behind
    `_id`, which are passed over, and without those that its document lacked, which are null. The cursor of an empty
    page (`e30=`) is the place before everything: an empty tuple. Raises `InvalidInput`.
    """
    values = _read(text, parameter)
    if not values:
        return ()
    known = dict(sort)
    if strange := [path for path in values if path not in known and path not in named]:
        raise InvalidInput(f"{parameter}: the cursor belongs to another sort: {strange[0]!r:.60} is not in this one")
    is_of_learning_locker = values.keys() <= set(named)
    has = named if is_of_learning_locker else values
    prefix = sort[: 1 + max((position for position, (path, _) in enumerate(sort) if path in has), default=0)]
    may_lack = known.keys() - model.steady if is_of_learning_locker else set()
    if lacking := [path for path, _ in prefix if path not in values and path not in may_lack]:
        raise InvalidInput(f"{parameter}: the cursor belongs to another sort: it lacks the value of {lacking[0]!r:.60}")
    return tuple((path, direction, _value(values.get(path), model, path, parameter)) for path, direction in prefix)


def beyond(place: Place, model: Model) -> dict[str, Any]:
    """Match what the sort puts after the place: by the first key, or by the second among its equals, and so on."""
    ways: list[dict[str, Any]] = []
    for position, (path, direction, value) in enumerate(place):
        equals = [{equal: {"$eq": known}} for equal, _, known in place[:position]]
        farther = _farther(path, direction, value, is_steady=path in model.steady)
        if farther is not None:
            ways.append({"$and": [*equals, farther]})
    if not ways:
        return {"_id": {"$in": []}}
    path, direction, value = place[0]
    if path in model.steady and len(ways) > 1:  # says nothing new, but shows the planner where to begin
        return {path: {"$gte" if direction == 1 else "$lte": value}, "$or": ways}
    return ways[0] if len(ways) == 1 else {"$or": ways}


def _farther(path: str, direction: int, value: Any, *, is_steady: bool) -> dict[str, Any] | None:
    """Match a greater (or lesser) value at the path, of any type; None when there can be none."""
    if value is None:
        return {path: {"$ne": None}} if direction == 1 else None
    same = {path: {"$gt" if direction == 1 else "$lt": value}}
    if is_steady:
        return same
    rank = TYPES.index(_type_of(value))
    others = TYPES[rank + 1 :] if direction == 1 else TYPES[1:rank]
    ways = [same, {path: {"$type": list(others)}}] if others else [same]
    return {"$or": ways if direction == 1 else [*ways, {path: None}]}


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    names = {"str": "string", "dict": "object", "ObjectId": "objectId", "datetime": "date", "DatetimeMS": "date"}
    return names.get(type(value).__name__, "number")


def _read(text: str, parameter: str) -> Mapping[str, Any]:
    if len(text) > LENGTH_LIMIT:
        raise InvalidInput(f"{parameter}: a cursor has at most {LENGTH_LIMIT} characters")
    try:
        values = orjson.loads(b64decode(text.replace(" ", "+"), validate=True))  # a `+` that was not escaped
        check_extent(values)
    except (binascii.Error, ValueError):
        raise InvalidInput(f"{parameter}: not a cursor: take one from `edges` or `pageInfo`") from None
    if not isinstance(values, dict):
        raise InvalidInput(f"{parameter}: not a cursor: take one from `edges` or `pageInfo`")
    return values


def _value(value: Any, model: Model, path: str, parameter: str) -> Any:
    try:
        plain = parse_far(value) or converted(value, path)
    except InvalidConditions as error:
        raise InvalidInput(f"{parameter}: {error}") from None
    kind = model.kind_at(path)
    spelled = SPELLED.get(kind) if kind else None
    value = cast(kind if spelled else None, plain, f"{parameter}: {path}")
    is_strange = path in model.steady and spelled is not None and not isinstance(value, spelled)
    if is_strange or isinstance(value, list) or _has_operator(value):
        raise InvalidInput(f"{parameter}: {path}: not a value that documents are sorted by")
    return value


def _has_operator(value: Any) -> bool:
    if isinstance(value, dict):
        return any(key.startswith("$") or _has_operator(child) for key, child in value.items())
    return isinstance(value, list) and any(map(_has_operator, value))
