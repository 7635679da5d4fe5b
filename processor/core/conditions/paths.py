"""Dotted paths through documents and arrays, exactly as MongoDB follows them.

A field of a document is followed by its name. At an array the path goes on in each element that is a document, and,
where its next part is a number, also in the element at that position, whatever that is. Nothing behind a document or
a scalar gives the value MISSING; an array in which no way leads on gives no value at all, so that `{"a.b": null}`
holds for `{"a": {}}` and `{"a": 5}` but not for `{"a": [5]}`. An array reached by name *spreads*: an operator on
values is put to each of its elements and to the whole; one that was reached by its position is only tested whole.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from sys import intern
from typing import Any, Final, NamedTuple

from processor.core.conditions.values import MISSING, Test

PARTS_LIMIT: Final = 100
"""Parts that a path may have; a statement is at most 64 levels deep."""

PATH_LIMIT: Final = 4_096
"""Characters that a path may have: thousands of paths are remembered."""


class Step(NamedTuple):
    """One part of a path: the key with plain dots, with `&46;` if it has any, and as a position if it is a number."""

    key: str
    encoded: str | None
    position: int | None


Path = tuple[Step, ...]


@lru_cache(maxsize=4096)
def parse_path(path: str) -> Path:
    """Split a path at its dots; `&46;` stands for a dot within a part.

    Raises ValueError for a path with an empty part (mongod takes those, but they can only be slips), with too many, or
    too long.
    """
    if len(path) > PATH_LIMIT:
        raise ValueError(f"a path has at most {PATH_LIMIT} characters")
    parts = path.split(".")
    if "" in parts:
        raise ValueError("a path has no empty part")
    if len(parts) > PARTS_LIMIT:
        raise ValueError(f"a path has at most {PARTS_LIMIT} parts")
    return tuple(map(_step, parts))


def is_short(path: str) -> bool:
    """Tell whether a path that was joined from several, each of which may be one, is within the limits itself."""
    return len(path) <= PATH_LIMIT and path.count(".") < PARTS_LIMIT


def _step(part: str) -> Step:
    key = intern(part.replace("&46;", "."))
    is_position = part.isascii() and part.isdecimal() and (part == "0" or part[0] != "0") and len(part) < 10
    return Step(key, key.replace(".", "&46;") if "." in key else None, int(part) if is_position else None)


def _field(document: Mapping[str, Any], step: Step) -> Any:
    """Return the field of a document, in either spelling of its dots; MISSING if there is none."""
    value = document.get(step.key, MISSING)
    if value is MISSING and step.encoded is not None:
        return document.get(step.encoded, MISSING)
    return value


def any_at(path: Path, test: Test, *, spreads: bool) -> Callable[[Any], bool]:
    """Return a predicate on documents: some value at the path passes the test.

    The common way, through documents alone, is a short loop; arrays, scalars and dots in keys take the long one.
    """
    return _asker(path, spreads=spreads)(test)


@lru_cache(maxsize=4096)
def _asker(path: Path, *, spreads: bool) -> Callable[[Test], Callable[[Any], bool]]:
    """Return what binds a test to the path; all that ask at one path share what is known of it."""
    has_dots = any(step.encoded for step in path)
    (*parents, last) = (step.key for step in path)

    def bind(test: Test) -> Callable[[Any], bool]:
        def passes(document: Any) -> bool:
            value = document
            try:
                for key in parents:
                    value = value.get(key, _NOTHING)
                value = value.get(last, MISSING)
            except AttributeError:  # not a document
                return any(map(test, _walk(document, path, spreads=spreads)))
            if spreads and type(value) is list:
                return test(value) or any(map(test, value))
            return test(value)

        return passes

    def bind_with_dots(test: Test) -> Callable[[Any], bool]:
        return lambda document: any(map(test, values_at(document, path, spreads=spreads)))

    return bind_with_dots if has_dots else bind


def equal_at(path: Path, asked: str | datetime) -> Callable[[Any], bool]:
    """Return a predicate on documents: the value is at the path, or in an array there.

    The same as `any_at` with `==`, for values that only equal their own type; most conditions of most journeys are
    these, so that they go without a further call, and at paths of three parts (`statement.verb.id`) without a loop.
    """
    return _equal_asker(path)(asked)


Bind = Callable[[str | datetime], Callable[[Any], bool]]
"""Returns the predicate for a value: of each of very many conditions at one path only the value is kept."""


@lru_cache(maxsize=4096)
def _equal_asker(path: Path) -> Bind:
    if any(step.encoded for step in path):
        ask = _asker(path, spreads=True)
        return lambda asked: ask(lambda found: bool(found == asked))
    return _equal_at_three(path) if len(path) == 3 else _equal_along(path)


def _equal_along(path: Path) -> Bind:
    names = [step.key for step in path]

    def bind(asked: str | datetime) -> Callable[[Any], bool]:
        def passes(document: Any) -> bool:
            value = document
            try:
                for name in names:
                    value = value.get(name, _NOTHING)
            except AttributeError:  # not a document
                return any(found == asked for found in _walk(document, path, spreads=True))
            return value == asked or (type(value) is list and asked in value)

        return passes

    return bind


def _equal_at_three(path: Path) -> Bind:
    one, two, three = (step.key for step in path)

    def bind(asked: str | datetime) -> Callable[[Any], bool]:
        def passes(document: Any) -> bool:
            try:
                value = document[one][two][three]
            except KeyError:
                return False
            except TypeError:  # not a document
                return any(found == asked for found in _walk(document, path, spreads=True))
            return value == asked or (type(value) is list and asked in value)

        return passes

    return bind


_NOTHING: Final[Mapping[str, Any]] = {}


def values_at(document: Any, path: Path, *, spreads: bool) -> list[Any]:
    """Return what stands at the path: values, MISSING for nothing; elements before their array if it spreads."""
    value = document
    for step in path:
        if type(value) is not dict:
            return list(_walk(document, path, spreads=spreads))
        value = _field(value, step)
    return [*value, value] if spreads and type(value) is list else [value]


def _walk(document: Any, path: Path, *, spreads: bool) -> Iterator[Any]:
    """Go breadth first, one part of the path after the other.

    With two numbers in the path the same node may be reached by many ways, as a position and as a key; each is visited
    once per part, or the ways would multiply.
    """
    nodes: list[Any] = [document]
    positions = 0
    for step in path[:-1]:
        followed: list[Any] = []
        for node in nodes:
            for value in _named(node, step):
                if type(value) in _NESTED:
                    followed.append(value)
                else:
                    yield MISSING
            if step.position is not None:
                followed += [value for value in _placed(node, step.position) if type(value) in _NESTED]
        positions += step.position is not None
        nodes = list({id(node): node for node in followed}.values()) if positions else followed
    last = path[-1]
    for node in nodes:
        for value in _named(node, last):
            if spreads and type(value) is list:
                yield from value
            yield value
        if last.position is not None:
            yield from _placed(node, last.position)


_NESTED: Final = frozenset({dict, list})


def _named(node: Any, step: Step) -> list[Any]:
    """What a document, or each document in an array, has under the name."""
    if type(node) is list:
        return [_field(element, step) for element in node if type(element) is dict]
    return [_field(node, step)]


def _placed(node: Any, position: int) -> list[Any]:
    """What an array has at the position."""
    return node[position : position + 1] if type(node) is list else []
