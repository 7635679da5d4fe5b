"""What a match makes necessary, so that an index can find candidates: the path and the values it must have there."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from processor.core.conditions.paths import parse_path, values_at
from processor.core.conditions.values import key_of


class Requirement(NamedTuple):
    """A document can only match if it has, at the path, a value with one of these keys (as `keys_at` finds them)."""

    path: str
    values: frozenset[Any]


def one_of(path: str, values: Iterable[Any]) -> tuple[Requirement, ...]:
    """Return the requirement of an equality or `$in`; none when a value cannot be indexed (null, documents, …)."""
    keys = [key_of(value) for value in values]
    return () if None in keys else (Requirement(path, frozenset(keys)),)


def within(path: str, inner: Iterable[Requirement]) -> tuple[Requirement, ...]:
    """Return the requirements of `$elemMatch`: some element has it.

    Not where the inner path begins with a number: an element that is itself an array has such keys (its positions),
    and no dotted path reaches all of those.
    """
    return tuple(Requirement(f"{path}.{it.path}", it.values) for it in inner if parse_path(it.path)[0].position is None)


def all_of(parts: Sequence[Sequence[Requirement]]) -> tuple[Requirement, ...]:
    """`$and`: each part's requirements hold."""
    return tuple(requirement for part in parts for requirement in part)


def any_of(parts: Sequence[Sequence[Requirement]]) -> tuple[Requirement, ...]:
    """`$or`: where every part requires something at the same path, one of all their values is there."""
    by_path = [{requirement.path: requirement.values for requirement in part} for part in parts]
    shared = [path for path in by_path[0] if all(path in other for other in by_path)]
    return tuple(Requirement(path, frozenset().union(*(part[path] for part in by_path))) for path in shared)


def keys_at(document: Mapping[str, Any], path: str) -> list[Any]:
    """Return the keys of what the document has at the path, array elements too; some may come twice."""
    return [key for value in values_at(document, parse_path(path), spreads=True) if (key := key_of(value)) is not None]
