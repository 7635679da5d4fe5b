"""Bounded documents: which completed attempts leave a progress document, and when they have to come back.

A *segment* holds consecutive completed attempts; it is written once and never changed. `processing.spilled` in the
document is the manifest: `[{segment, attempts, last}, …]`, oldest first, `last` the key of the last item that counted
there. Segments become part of the progress when the one update of the document puts them into its manifest, and are
none of it when that is fenced: so a promotion is all or nothing as before (P2).

Nothing is sealed by that: evidence that is truly late brings the attempts back (`whole`), everything is folded, and
what is too much leaves again, in segments of its own (F1).
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from bson import ObjectId
from msgspec import Struct
from msgspec.structs import asdict

from processor.core.completions import attempts_from, items_from
from processor.core.evidence import Item, Key, Segment
from processor.core.fold import Evidence
from processor.core.journey import JourneyRules

Document = Mapping[str, Any]
Attempts = Sequence[Mapping[str, Any]]
"""As they stand in `completions`."""

ATTEMPT_BYTES, WAYPOINT_BYTES, STATEMENT_BYTES = 64, 118, 53
"""What an attempt, a waypoint in it and a counted statement take in BSON, at most."""


Sealed = Callable[[Key], bool]
"""Tells of the last key of an attempt whether late evidence may not change it any more."""


class Away(Struct, frozen=True):
    """The attempts that have left a document: how many, and the last item that counted there."""

    manifest: Attempts
    attempts: int
    last: Key | None

    @classmethod
    def of(cls, manifest: Attempts) -> "Away":
        """Read the manifest of a document."""
        return cls(manifest, count_of(manifest), _last(manifest[-1]) if manifest else None)


class Spilling(Struct, frozen=True):
    """What stays in the document, what leaves it, and the manifest with that at its end.

    `named` are the segments of the manifest before and after, where any leave.
    """

    kept: Attempts
    manifest: Attempts
    segments: tuple[Segment, ...] = ()
    named: tuple[ObjectId, ...] = ()


def spill(attempts: Attempts, manifest: Attempts, document: Document, limit: int) -> Spilling:
    """Let the oldest completed attempts leave when the completed ones take more than `limit` bytes, down to a quarter.

    The last completed one stays, and so does an open one. A segment takes up to the limit, or one attempt that is
    larger. The document's `lockKey`, which is used once, makes the ids of its segments: nobody else's are the same.
    """
    if len(attempts) < 2:
        return Spilling(attempts, manifest)
    sizes = [size_of(attempt) for attempt in attempts if attempt["isCompleted"]]
    left = sum(sizes)
    number = 0
    if left > limit:
        while left > limit // 4 and number < len(sizes) - 1:
            left -= sizes[number]
            number += 1
    if not number:
        return Spilling(attempts, manifest)
    first = count_of(manifest)
    segments: list[Segment] = []
    for begin, end in _runs(sizes[:number], limit):
        key = _segment_id(document, len(segments))
        segments.append(Segment(key, first + begin, attempts[begin:end]))
    entries = [*manifest, *map(_entry, segments)]
    named = (*(entry["segment"] for entry in entries), *document["processing"].get("recalled", ()))
    return Spilling(attempts[number:], entries, tuple(segments), named)


def count_of(manifest: Attempts) -> int:
    """Return how many attempts have left."""
    return sum(entry["attempts"] for entry in manifest)


def split(evidence: Evidence, rules: JourneyRules, last: Key | None) -> tuple[Evidence, Evidence]:
    """Return the evidence that is not later than a key, and what is, or belongs to no waypoint."""
    if last is None or not evidence:
        return {}, evidence
    early: dict[str, list[Item]] = {}
    later: dict[str, list[Item]] = {}
    for waypoint, items in evidence.items():
        order = rules.waypoints[waypoint].order if waypoint in rules.waypoints else None
        for item in items:
            is_early = order is not None and Key(item.timestamp, order, item.statement, waypoint) <= last
            (early if is_early else later).setdefault(waypoint, []).append(item)
    return early, later


def pending_after(pending: Evidence, rules: JourneyRules, last: Key | None) -> Evidence:
    """Return what is pending after a key, or belongs to no waypoint: what is not was only delivered again.

    Else `whole` had brought back what is away (`is_late`). By the time alone, in both: an item of the same millisecond
    may come later in the total order than it did, as a waypoint's order may have changed since.
    """
    if last is None:
        return pending
    return {
        waypoint: left
        for waypoint, items in pending.items()
        if (left := [it for it in items if waypoint not in rules.waypoints or it.timestamp > last.timestamp])
    }


def joined(early: Evidence, later: Mapping[str, list[Item]]) -> dict[str, list[Item]]:
    """Put together again what was split: ascending, where both are."""
    if not early:
        return dict(later)
    return {key: [*early.get(key, ()), *later.get(key, ())] for key in {**early, **later}}


def sealed_part(manifest: Attempts, is_sealed: Sealed, sealed: int) -> tuple[int, Key | None]:
    """Return how many attempts of whole segments are sealed, and the last key in them.

    `sealed` is how many are known to be. A segment that is sealed in part is judged when its attempts come back.
    """
    number, frontier = 0, None
    for entry in manifest:
        key = _last(entry)
        if number + entry["attempts"] > sealed and not is_sealed(key):
            break
        number += entry["attempts"]
        frontier = key
    return number, frontier


def segments_to_look_at(document: Document, rules: JourneyRules) -> list[ObjectId]:
    """Return the segments that decide whether new evidence is late: nearly always none.

    Those that the keys of new items fall into; all of them when a recalculation has taken evidence back, which may be
    counted in any.
    """
    manifest = document["processing"].get("spilled")
    if not manifest:
        return []
    if _has_retractions(document, rules):
        return [entry["segment"] for entry in manifest]
    lasts = [_last(entry).timestamp for entry in manifest]
    places: set[int] = set()
    for key in _new_items(document, rules):
        if key.timestamp <= lasts[-1]:  # of one time may be the ends of several, and the beginning of the next
            places.update(range(bisect_left(lasts, key.timestamp), bisect_right(lasts, key.timestamp) + 1))
    return [entry["segment"] for place, entry in enumerate(manifest) if place in places]


def is_late(document: Document, rules: JourneyRules, found: Mapping[ObjectId, Attempts]) -> bool:
    """Tell whether new evidence can change attempts that have left; `found` are the segments that were looked at.

    What is counted there already, or kept as surplus, is only delivered again (I2).
    """
    manifest = document["processing"].get("spilled")
    if not manifest:
        return False
    if _has_retractions(document, rules):
        return True
    known = set(_counted(attempt for attempts in found.values() for attempt in attempts))
    known |= {
        (waypoint, item.statement)
        for waypoint, items in document["processing"].get("surplus", {}).items()
        for item in items_from(items)
    }
    frontier = _last(manifest[-1]).timestamp
    return any(
        key.timestamp <= frontier and (key.waypoint, key.statement) not in known for key in _new_items(document, rules)
    )


def whole(document: Document, found: Mapping[ObjectId, Attempts]) -> dict[str, Any]:
    """Return the document with all its attempts, as if none had ever left. Raises KeyError for a missing segment.

    `processing.recalled` tells which segments they come from; it is never stored.
    """
    segments = segments_of([document])
    back = [attempt for segment in segments for attempt in found[segment]]
    processing = {**document["processing"], "spilled": [], "recalled": segments}
    return {**document, "completions": [*back, *document["completions"]], "processing": processing}


def segments_of(documents: Iterable[Document]) -> list[ObjectId]:
    """Return the segments of all that have left the documents."""
    return [entry["segment"] for document in documents for entry in document["processing"].get("spilled", ())]


def size_of(attempt: Mapping[str, Any]) -> int:
    """Return about how many bytes an attempt takes in BSON, rather more than less."""
    waypoints = attempt["waypoints"].values()
    return ATTEMPT_BYTES + sum(WAYPOINT_BYTES + STATEMENT_BYTES * len(it["statements"]) for it in waypoints)


def _runs(sizes: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Cut into runs that are not larger than `most` where they can be."""
    begin, size = 0, 0
    for place, added in enumerate(sizes):
        if size and size + added > most:
            yield begin, place
            begin, size = place, 0
        size += added
    yield begin, len(sizes)


def _segment_id(document: Document, number: int) -> ObjectId:
    named = f"{document['_id']} {document.get('lockKey')} {number}"
    return ObjectId(hashlib.sha256(named.encode()).digest()[:12])


def _entry(segment: Segment) -> dict[str, Any]:
    last = attempts_from(segment.attempts[-1:])[0].last
    return {"segment": segment.id, "attempts": len(segment.attempts), "last": asdict(last)}


def _last(entry: Mapping[str, Any]) -> Key:
    return Key(**entry["last"])


def _has_retractions(document: Document, rules: JourneyRules) -> bool:
    asked = document["processing"].get("replay", ())
    return any(entry["version"] == rules.version and entry.get("retract") for entry in asked)


def _new_items(document: Document, rules: JourneyRules) -> Iterator[Key]:
    for waypoint, entry in document["pendingProgress"].items():
        if waypoint in rules.waypoints:
            order = rules.waypoints[waypoint].order
            for item in items_from(entry["statements"]):
                yield Key(item.timestamp, order, item.statement, waypoint)


def _counted(attempts: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, ObjectId]]:
    for attempt in attempts:
        for waypoint, entry in attempt["waypoints"].items():
            for item in entry["statements"]:
                yield waypoint, item["statement"]
