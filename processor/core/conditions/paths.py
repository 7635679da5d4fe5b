"""Dotted paths through documents and arrays, as MongoDB follows them.

At an array a path goes into each element that is a document, and, if its next part is a number, to that position. The
last value is tested whole; what an operator does with a last value that is an array is the operator's business.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from processor.core.conditions.values import MISSING, Test


class Step(NamedTuple):
    """One part of a path: the key with plain dots, with `&46;` if it has any, and as a position if it is a number."""

    key: str
    encoded: str | None
    position: int | None


Path = tuple[Step, ...]

DATE_FIELDS = {"statement.timestamp": "timestamp", "statement.stored": "stored"}
"""In conditions these mean the document's Date fields (learning-locker-behaviour.md, section 5.1)."""


def parse_path(path: str) -> Path:
    """Split a path at its dots; `&46;` stands for a dot within a part."""
    return tuple(_step(part) for part in DATE_FIELDS.get(path, path).split("."))


def _step(part: str) -> Step:
    key = part.replace("&46;", ".")
    is_position = part.isascii() and part.isdecimal() and (part == "0" or not part.startswith("0")) and len(part) < 10
    return Step(key, key.replace(".", "&46;") if "." in key else None, int(part) if is_position else None)


def field(document: Mapping[str, Any], step: Step) -> Any:
    """Return the field of a document, in either spelling of its dots."""
    value = document.get(step.key, MISSING)
    if value is MISSING and step.encoded is not None:
        return document.get(step.encoded, MISSING)
    return value


def any_at(path: Path, test: Test) -> Callable[[Any], bool]:
    """Return a predicate on documents: some value at the path passes the test.

    Nothing at the path counts as the value MISSING. The way without arrays is one short loop.
    """
    if len(path) == 1 and path[0].encoded is None:
        key = path[0].key
        return lambda document: test(document.get(key, MISSING))

    def passes(document: Any) -> bool:
        value = document
        for number, step in enumerate(path):
            if type(value) is dict:
                value = value.get(step.key, MISSING)
                if value is MISSING:
                    if step.encoded is None:
                        return test(MISSING)
                    return any(map(test, values_at(document, path)))
            elif type(value) is list:
                return any(map(test, _through(value, path, number)))
            else:
                return test(MISSING)
        return test(value)

    return passes


def values_at(value: Any, path: Path, number: int = 0) -> Iterator[Any]:
    """Yield what stands at the path from part `number` on: values, whole arrays, MISSING for nothing."""
    if number == len(path):
        yield value
    elif isinstance(value, Mapping):
        found = field(value, path[number])
        if found is MISSING:
            yield MISSING
        else:
            yield from values_at(found, path, number + 1)
    elif isinstance(value, list):
        yield from _through(value, path, number)
    else:
        yield MISSING


def _through(array: list[Any], path: Path, number: int) -> Iterator[Any]:
    position = path[number].position
    if position is not None and position < len(array):
        yield from values_at(array[position], path, number + 1)
    for element in array:
        if isinstance(element, Mapping):
            yield from values_at(element, path, number)
