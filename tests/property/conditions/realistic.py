"""Queries that people put to real statements: made of the paths and values in them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId

from tests.property.conditions.strategies import Dice, Json

Leaves = Mapping[str, Sequence[Json]]
"""By path, the values that stand there."""


def leaves_of(documents: Iterable[Mapping[str, Any]]) -> Leaves:
    """Gather what queries can ask for; array positions are left out, as people leave them out."""
    found: dict[str, list[Json]] = defaultdict(list)
    for document in documents:
        _gather(document, "", found)
    return found


def _gather(value: Json, path: str, found: dict[str, list[Json]]) -> None:
    if isinstance(value, Mapping):
        for key, child in value.items():
            _gather(child, f"{path}.{key}" if path else key, found)
    elif isinstance(value, list):
        for child in value:
            _gather(child, path, found)
    elif value not in found[path]:
        found[path].append(value)


def a_realistic_query(dice: Dice, leaves: Leaves) -> dict[str, Json]:
    """A few criteria, as Learning Locker's query builder joins them."""
    paths = list(leaves)
    criteria = dice.some(lambda: _criterion(dice, leaves, paths), 1, 3)
    joined = dice.one(("$and", "$and", "$or", "$nor", ""))
    if joined:
        return {joined: [{"$comment": "{}", **criterion} for criterion in criteria]}
    return {path: asked for criterion in criteria for path, asked in criterion.items()}


def _criterion(dice: Dice, leaves: Leaves, paths: Sequence[str]) -> dict[str, Json]:
    path = dice.one(paths)
    values = leaves[path]
    value = dice.one(values)
    operator = dice.one(("is", "is", "$in", "$nin", "$ne", "$gte", "$lt", "$exists", "$regex", "$elemMatch", "$not"))
    if operator == "is":
        return {path: value}
    if operator in ("$in", "$nin"):
        return {path: {operator: [value, *dice.some(lambda: dice.one(values), 0, 3)]}}
    if operator == "$exists":
        return {path: {operator: bool(dice.number(0, 1))}}
    if operator == "$regex":
        return {path: {operator: f"^{str(value)[: dice.number(1, 20)]}"}} if _is_plain(value) else {path: value}
    if operator == "$elemMatch":
        parent, _, name = path.rpartition(".")
        return {parent: {operator: {name: value}}} if parent else {path: value}
    return {path: {"$not": {"$gt": value}} if operator == "$not" else {operator: value}}


def _is_plain(value: Json) -> bool:
    return isinstance(value, str) and not set(value) & set(r"\^$.|?*+()[]{}")


def in_dialect(value: Json) -> Json:
    """The same query as Learning Locker stores it: JSON."""
    if isinstance(value, ObjectId):
        return {"$oid": str(value)}
    if isinstance(value, datetime):
        return {"$dte": value.isoformat()}
    if isinstance(value, Mapping):
        return {key: in_dialect(child) for key, child in value.items()}
    return [in_dialect(child) for child in value] if isinstance(value, list) else value
