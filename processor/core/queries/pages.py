"""Pages, as Relay defines `first`, `last`, `after` and `before` (http.md).

`after` and `before` cut the sorted set; `first` takes from the beginning of what is left, `last` from its end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Final, Self

from processor.core.queries.cursors import beyond, cursor_at, place_from
from processor.core.queries.models import Model
from processor.core.queries.query import Found, Query
from processor.core.queries.sorting import reverse

FIRST: Final = 10
"""What a caller gets who says neither `first` nor `last`."""

PAGE_BYTES: Final = 32_000_000
"""A page ends before it is larger, as stored; a document takes 16 MB at most."""

NOWHERE: Final = "e30="
"""The cursor of an empty page: base64 of `{}`."""


@dataclass(frozen=True, slots=True)
class Page:
    """The documents of a page with their cursors, and what lies around it."""

    edges: tuple[tuple[str, Mapping[str, Any]], ...]
    has_next: bool
    has_previous: bool

    @property
    def start(self) -> str:
        """The first cursor."""
        return self.edges[0][0] if self.edges else NOWHERE

    @property
    def end(self) -> str:
        """The last cursor."""
        return self.edges[-1][0] if self.edges else NOWHERE


@dataclass(frozen=True, slots=True)
class Window:
    """Which page of a set is wanted. A number of 0 counts as not given, as in Learning Locker."""

    first: int | None = None
    last: int | None = None
    after: str | None = None
    before: str | None = None

    @classmethod
    def of(cls, first: int | None, last: int | None, after: str | None, before: str | None) -> Self:
        """The window that parameters describe; the cursor of an empty page says nothing."""
        return cls(first, last, None if after == NOWHERE else after, None if before == NOWHERE else before)

    @property
    def is_backwards(self) -> bool:
        """Whether the page is taken from the end: `last`, or `before` alone."""
        return not self.first and bool(self.last or self.before)

    def size(self, cap: int) -> int:
        """Return how many documents the page has at most."""
        return min((self.last if self.is_backwards else self.first) or FIRST, cap)

    def query(self, query: Query, model: Model, cap: int) -> Query:
        """Return the query for the page, and one document more that tells whether there is a next one.

        Raises `InvalidInput` for a cursor that is none, or belongs to another sort.
        """
        cuts = []
        if self.after and (place := place_from(self.after, query.sort, model, "after", query.named)):
            cuts.append(beyond(place, model))
        if self.before and (place := place_from(self.before, reverse(query.sort), model, "before", query.named)):
            cuts.append(beyond(place, model))
        sort = reverse(query.sort) if self.is_backwards else query.sort
        return replace(query, beyond=tuple(cuts), sort=sort, limit=self.size(cap) + 1, most=PAGE_BYTES)


def page_of(found: Sequence[Found], window: Window, asked: Query, model: Model) -> Page:
    """Make the page of what the window's query `asked` has found. Raises `InvalidInput` if there is no paging by it."""
    size = asked.limit - 1
    fit = max(1, sum(total <= PAGE_BYTES for total in accumulate(it.size for it in found[:size])))
    kept = [(cursor_at(asked.sort, it.place, model), it.document) for it in found[:fit]]
    has_more = len(found) > len(kept)
    if window.is_backwards:
        return Page(tuple(kept[::-1]), has_next=bool(window.before), has_previous=has_more)
    has_previous = bool(window.after)
    if window.first and window.last and window.last < len(kept):
        kept, has_previous = kept[-window.last :], True
    return Page(tuple(kept), has_next=has_more, has_previous=has_previous)
