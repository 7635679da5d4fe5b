"""What several decode alike: many values by one call, as far as they can be."""

from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any, TypeVar

from msgspec import Meta, MsgspecError

Read = TypeVar("Read")

Absent = Annotated[int, Meta(ge=1, le=0)]
"""The kind of a field that must not be there: it has no values."""


def decoded(decode: Callable[[Any], Read], values: Sequence[bytes | None]) -> tuple[list[Read], list[int]]:
    """Return what msgspec's `decode` makes of the values, and the positions, ascending, of those that it refuses."""
    found: list[Read] = []
    failed: list[int] = []
    some = map(decode, values)
    while len(found) + len(failed) < len(values):
        try:
            found.extend(some)  # as far as the next that fails
        except (MsgspecError, ValueError, TypeError, RecursionError):  # None is a TypeError
            failed.append(len(found) + len(failed))
    return found, failed


def others(places: Collection[int], several: int) -> Sequence[int]:
    """Return the positions of so many values but for these, ascending."""
    if not places:
        return range(several)
    those = set(places)
    return [place for place in range(several) if place not in those]
