"""Sorts: always total, so that pages neither lose nor repeat a document: `_id` decides between equals."""

from collections.abc import Mapping
from typing import Any, Final

from processor.core.conditions import InvalidConditions
from processor.core.conditions.dialect import check_extent
from processor.core.queries.models import Model
from processor.errors import InvalidInput

Sort = tuple[tuple[str, int], ...]
"""Paths with 1 (ascending) or -1 (descending); `_id` is in it."""

BY_ID: Final[Sort] = (("_id", 1),)
KEYS_LIMIT: Final = 8

DIRECTIONS: Final[Mapping[Any, int]] = {
    1: 1,
    -1: -1,
    **dict.fromkeys(("1", "asc", "ascending"), 1),
    **dict.fromkeys(("-1", "desc", "descending"), -1),
}


def sort_from(value: Any, model: Model, parameter: str = "sort") -> Sort:
    """Read `{"updatedAt": -1}`. Raises `InvalidInput`."""
    if not isinstance(value, Mapping):
        raise InvalidInput(f'{parameter}: a sort is a JSON object such as {{"updatedAt": -1}}')
    try:
        check_extent(value)
    except InvalidConditions as error:
        raise InvalidInput(f"{parameter}: {error}") from None
    for path, direction in value.items():
        model.check_path(path, parameter)
        if isinstance(direction, bool | Mapping | list) or direction not in DIRECTIONS:
            raise InvalidInput(f"{parameter}: {path}: the direction is 1 or -1, not {direction!r:.40}")
    return _total([(path, DIRECTIONS[direction]) for path, direction in value.items()], parameter)


def sort_from_text(text: str, model: Model, parameter: str = "sort") -> Sort:
    """Read `-updatedAt journey`: names, with a minus to descend, as the REST interface takes them."""
    keys = [(part.lstrip("-+"), -1 if part.startswith("-") else 1) for part in text.replace(",", " ").split()]
    for path, _ in keys:
        model.check_path(path, parameter)
    return _total(list(dict(keys).items()), parameter)


def reverse(sort: Sort) -> Sort:
    """The same order from its other end."""
    return tuple((path, -direction) for path, direction in sort)


def _total(keys: list[tuple[str, int]], parameter: str) -> Sort:
    if len(keys) > KEYS_LIMIT:
        raise InvalidInput(f"{parameter}: at most {KEYS_LIMIT} keys")
    paths = [path for path, _ in keys]
    if "_id" in paths:  # nothing that comes after it can decide anything
        return tuple(keys[: paths.index("_id") + 1])
    return (*keys, ("_id", keys[0][1] if keys else 1))
