"""What fills the holes of a mould (`core/mould.py`), and what of a sample has holes: as a document, and as text."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any, Final, NamedTuple

from bson import ObjectId

from processor.core.completions import TIMESTAMP
from processor.core.evidence import Item
from schemas.ids import format_timestamp, format_timestamps
from schemas.rendering import to_json

STATEMENT: Final = attrgetter("statement")
ID: Final = attrgetter("statement.binary")

Holes = tuple[Any, ...]
"""The values of a filling, one by one, in the order of its fields: all statements, then all times."""


class Filling(NamedTuple):
    """What one document is filled with; `ident` is the owner's, and the items ascend."""

    progress: ObjectId
    ident: Any
    now: datetime
    lock_key: str
    items: Sequence[Item]

    @property
    def holes(self) -> Holes:
        """What fills the holes, or, of a sample, stands where they are."""
        return (*self[:-1], *map(STATEMENT, self.items), *map(TIMESTAMP, self.items))


Copy = Callable[[Holes], Any]
"""Makes a copy of something, with the holes filled; it shares what has no holes in it."""


def copy_of(value: Any, holes: Holes) -> Copy | None:
    """Return what copies a value, None if there are no holes in it.

    A hole is where the very same object stands: an equal one that came from elsewhere is none.
    """
    for place, hole in enumerate(holes):
        if value is hole:
            return itemgetter(place)
    if not isinstance(value, dict | list):
        return None
    children = value.items() if isinstance(value, dict) else enumerate(value)
    copies = [(key, copy) for key, child in children if (copy := copy_of(child, holes))]
    if not copies:
        return None

    def copied(filling: Holes) -> Any:
        made = value.copy()
        for key, copy in copies:
            made[key] = copy(filling)
        return made

    return copied


class Text:
    """JSON with holes in it."""

    def __init__(self, data: bytes, filling: Filling) -> None:
        written = _written(filling)
        cut = re.split(f"({'|'.join(map(re.escape, written))})", data.decode())
        found = map(written.index, cut[1::2])
        self._pieces = [*cut[::2], ""]
        # What fills the holes comes first, then the pieces between, and nothing, as there may be but one; in this order
        # they are the text.
        numbers = range(len(written), len(written) + len(self._pieces))
        self._in_order = itemgetter(*chain.from_iterable(zip(numbers, found, strict=False)), *numbers[-2:])

    def filled(self, filling: Filling) -> bytes:
        """Return the text with the holes filled."""
        return "".join(self._in_order(_written(filling) + self._pieces)).encode()


def _written(filling: Filling) -> list[str]:
    """Return the holes as they stand in JSON; of ids and times what is the same length in all, so without quotes."""
    progress, ident, now, lock_key, items = filling
    return [
        str(progress),
        str(ident) if isinstance(ident, ObjectId) else to_json(ident).decode(),
        *_shared(now, lock_key),
        *_hex(items),
        *format_timestamps(list(map(TIMESTAMP, items))),
    ]


def _hex(items: Sequence[Item]) -> Iterator[str]:
    digits = b"".join(map(ID, items)).hex()
    return (digits[place : place + 24] for place in range(0, len(digits), 24))


@lru_cache(maxsize=8)
def _shared(now: datetime, lock_key: str) -> tuple[str, str]:
    """Return what is the same in all that is written together."""
    return format_timestamp(now), to_json(lock_key).decode()
