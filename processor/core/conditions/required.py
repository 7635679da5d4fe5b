"""What a match makes necessary, so that an index can find candidates: the paths and the values it must have there."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from processor.core.conditions.paths import is_short, parse_path, values_at
from processor.core.conditions.values import key_of


class Place(NamedTuple):
    """A path, and the keys of the values that may stand there (as `keys_at` finds them)."""

    path: str
    keys: tuple[Any, ...]


Requirement = tuple[Place, ...]
"""A document can only match if it has, at one of these places, one of the place's keys."""

Requirements = tuple[Requirement, ...]
"""All of them are necessary."""


def one_of(path: str, values: Iterable[Any]) -> Requirements:
    """Return the requirement of an equality or `$in`; none when a value cannot be indexed (null, documents, …)."""
    keys = dict.fromkeys(map(key_of, values))
    return () if None in keys else ((Place(path, tuple(keys)),),)


def within(path: str, inner: Iterable[Requirement]) -> Requirements:
    """Return the requirements of `$elemMatch`: some element has it.

    Not where the inner path begins with a number: an element that is itself an array has such keys (its positions),
    and no dotted path reaches all of those. Nor where both together are longer than a path may be.
    """
    named = (req for req in inner if all(parse_path(place.path)[0].position is None for place in req))
    joined = (tuple(Place(f"{path}.{place.path}", place.keys) for place in req) for req in named)
    return tuple(req for req in joined if all(is_short(place.path) for place in req))


def all_of(parts: Sequence[Requirements]) -> Requirements:
    """`$and`: each part's requirements hold."""
    return tuple(requirement for part in parts for requirement in part)


def any_of(parts: Sequence[Requirements]) -> Requirements:
    """`$or`: where every part requires something, one of all that holds.

    What all parts require at the same path becomes a requirement at that path. Where there is no such path, each part
    gives its narrowest one.
    """
    if not all(parts):
        return ()
    by_path = [{req[0].path: req[0].keys for req in part if len(req) == 1} for part in parts]
    shared = [path for path in by_path[0] if all(path in other for other in by_path)]
    if shared:
        return tuple((_place(path, (part[path] for part in by_path)),) for path in shared)
    keys: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for part in parts:
        for place in min(part, key=_breadth):
            keys[place.path].append(place.keys)
    return (tuple(_place(path, several) for path, several in keys.items()),)


def _place(path: str, several: Iterable[tuple[Any, ...]]) -> Place:
    return Place(path, tuple(dict.fromkeys(chain.from_iterable(several))))


def _breadth(requirement: Requirement) -> int:
    return sum(len(place.keys) for place in requirement)


def keys_at(path: str) -> Callable[[Mapping[str, Any]], Iterable[Any]]:
    """Return what finds the keys that a document has at the path, array elements' too; some may come twice."""
    steps = parse_path(path)
    names = [step.key for step in steps]
    has_dots = any(step.encoded for step in steps)

    def slowly(document: Mapping[str, Any]) -> list[Any]:
        values = values_at(document, steps, spreads=True)
        return [key for value in values if (key := key_of(value)) is not None]

    def found(document: Mapping[str, Any]) -> Iterable[Any]:
        value: Any = document
        try:
            for name in names:
                value = value[name]
        except KeyError:
            return ()
        except TypeError:  # an array or a scalar on the way
            return slowly(document)
        kind = type(value)
        if kind is list:
            return slowly(document)
        key = value if kind is str and len(value) != 24 else key_of(value)
        return () if key is None else (key,)

    return slowly if has_dots else found
