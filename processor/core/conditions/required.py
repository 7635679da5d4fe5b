"""What a match makes necessary, so that an index can find candidates: the path and the values it must have there."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from processor.core.conditions.paths import parse_path, values_at
from processor.core.conditions.values import key_of


class Requirement(NamedTuple):
    """A document can only match if it has, at the path, a value with one of these keys."""

    path: str
    values: frozenset[Any]


def one_of(path: str, values: Iterable[Any]) -> tuple[Requirement, ...]:
    """Return the requirement of an equality or `$in`; none when a value cannot be indexed (null, documents, …)."""
    keys = [key_of(value) for value in values]
    return () if None in keys else (Requirement(path, frozenset(keys)),)


def all_of(parts: Sequence[Sequence[Requirement]]) -> tuple[Requirement, ...]:
    """`$and`: each part's requirements hold."""
    return tuple(requirement for part in parts for requirement in part)


def any_of(parts: Sequence[Sequence[Requirement]]) -> tuple[Requirement, ...]:
    """`$or`: where every part requires something at the same path, one of all their values is there."""
    paths = [dict.fromkeys(requirement.path for requirement in part) for part in parts]
    shared = [path for path in paths[0] if all(path in others for others in paths)] if paths else []
    return tuple(
        Requirement(
            path,
            frozenset().union(*(next(it.values for it in part if it.path == path) for part in parts)),
        )
        for path in shared
    )


def keys_at(document: Mapping[str, Any], path: str) -> list[Any]:
    """Return the keys of what the document has at the path, array elements too; some may come twice."""
    keys = []
    for value in values_at(document, parse_path(path)):
        for element in value if isinstance(value, list) else (value,):
            key = key_of(element)
            if key is not None:
                keys.append(key)
    return keys
