"""What one promotion takes in of a document: of very many pending items a part, the earliest."""

from collections.abc import Mapping, Sequence
from heapq import nsmallest
from operator import itemgetter
from typing import Any, NamedTuple

from processor.core.completions import items_from
from processor.core.evidence import Item
from processor.core.fold import Evidence
from processor.core.retraction import retractions_in

Listed = Mapping[str, Sequence[Mapping[str, Any]]]
"""Pending items by waypoint, as they stand in the document."""


class Taken(NamedTuple):
    """What a promotion takes in of a document: what is pending, of what was asked in a replay, and whether only a part.

    `replayed` leaves with it; `asked` is all.
    """

    pending: Evidence
    asked: tuple[Mapping[str, Any], ...] = ()
    replayed: tuple[Mapping[str, Any], ...] = ()
    is_partial: bool = False


def listed_in(document: Mapping[str, Any]) -> Listed:
    """Return what is pending in a document."""
    return {key: entry["statements"] for key, entry in document["pendingProgress"].items()}


def taken(document: Mapping[str, Any], listed: Listed, limit: int) -> Taken:
    """Return what is taken of the items that are listed, at most `limit` of a waypoint, and of what was asked."""
    asked = tuple(document["processing"].get("replay", ()))
    pending, is_partial = _earliest(listed, limit)
    if not (is_partial and asked):
        return Taken(pending, asked, asked, is_partial)
    # What a recalculation has asked is done with the last part; but what it takes back, before any is counted.
    replayed = retractions_in(asked)
    return Taken({} if replayed else pending, asked, replayed, is_partial)


def _earliest(listed: Listed, limit: int) -> tuple[dict[str, tuple[Item, ...]], bool]:
    """Return what is pending, and whether only a part: of no waypoint more than `limit`, and of all the earliest.

    Else what comes with the next part could be too late for what this one has completed (F1).
    """
    crowded = [entries for entries in listed.values() if len(entries) > limit]
    if not crowded:
        return {key: items_from(entries) for key, entries in listed.items()}, False
    until = min(nsmallest(limit, (entry["timestamp"] for entry in entries))[-1] for entries in crowded)
    early = {key: [entry for entry in entries if entry["timestamp"] <= until] for key, entries in listed.items()}
    return {
        key: items_from(sorted(entries, key=itemgetter("timestamp"))[:limit]) for key, entries in early.items()
    }, True
