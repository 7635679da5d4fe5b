"""Statements that were read again, to what a recalculation does about them (semantics.md, sections 3 and 4).

The verdict is always the live matcher's. Evidence is taken back only when its statement was read and does not count
for that owner and waypoint; what was not read, stays: a source may forget (retention). So do the evidence of a waypoint
that asks nothing, which waits, and sealed attempts.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from heapq import nsmallest
from itertools import product
from typing import Any

from bson import ObjectId

from processor.core.completions import items_to
from processor.core.document import empty_document
from processor.core.evidence import Append, Retraction
from processor.core.identity import Identification, Uncounted, owners_of, progress_id
from processor.core.index import JourneyIndex
from processor.core.journey import JourneyRules
from processor.core.records import StatementRecord
from processor.core.retraction import replay_entry, retraction_entry


@dataclass(frozen=True, slots=True)
class Scope:
    """What is recalculated: a journey's documents, or `only` one of them."""

    rules: JourneyRules
    only: ObjectId | None = None


BROKEN = (AttributeError, KeyError, TypeError, ValueError)
"""What the reading of a document that was edited by hand may raise."""

Verdicts = Mapping[ObjectId, frozenset[tuple[ObjectId, str]]]
"""For each statement that was read: the progress documents and waypoints that it counts for."""


def verdicts_on(records: Iterable[StatementRecord], rules: JourneyRules, identification: Identification) -> Verdicts:
    """Judge statements under a journey. A waypoint that is switched off is judged, too: its evidence waits.

    Of several versions of a statement it is enough that one counts, as in the live stream. Another organisation's is
    not ours, whatever its reference (DECISIONS.md, 8): it counts as not read.
    """
    waypoints = {
        key: replace(waypoint, is_active=not waypoint.conditions.is_empty) for key, waypoint in rules.waypoints.items()
    }
    index = JourneyIndex([replace(rules, waypoints=waypoints)])
    verdicts: dict[ObjectId, frozenset[tuple[ObjectId, str]]] = {}
    for record in records:
        if record.organisation != rules.organisation:
            continue
        counts = {
            (progress, waypoint.id)
            for _, waypoint in index.matches(record)
            for progress in _documents_of(record, rules, rules.track_by, identification)
        }
        verdicts[record.reference] = verdicts.get(record.reference, frozenset()) | counts
    return verdicts


def retraction_of(
    document: Mapping[str, Any], verdicts: Verdicts, rules: JourneyRules, replay: str
) -> Retraction | None:
    """Return what a progress document holds against the verdicts, if anything."""
    taken: dict[str, dict[ObjectId, None]] = {}
    for waypoint, statement in evidence_of(document):
        counts = verdicts.get(statement)
        judged = waypoint in rules.waypoints and not rules.waypoints[waypoint].conditions.is_empty
        if judged and counts is not None and (document["_id"], waypoint) not in counts:
            taken.setdefault(waypoint, {})[statement] = None
    if not taken:
        return None
    statements = {waypoint: tuple(found) for waypoint, found in taken.items()}
    return Retraction(document["_id"], rules.version, statements, replay)


def evidence_of(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (waypoint, statement) for all that a document holds and a fold may still change; some may come twice.

    Raises one of `BROKEN` when the document was edited by hand, or attempts that have left it are not there.
    """
    processing = document["processing"]
    if processing.get("spilled"):
        raise ValueError("attempts that have left the document are missing")
    parts = [
        *(attempt["waypoints"] for attempt in document["completions"][processing.get("sealed", 0) :]),
        {key: {"statements": kept} for key, kept in processing.get("surplus", {}).items()},
        document.get("pendingProgress", {}),
    ]
    for part in parts:
        for waypoint, entry in part.items():
            for item in entry["statements"]:
                yield waypoint, item["statement"]


def references_of(holders: Iterable[Mapping[str, Any]]) -> set[ObjectId]:
    """Return the statements that documents hold; what is broken is passed over, as it is told of when it is judged.

    What else somebody put in the place of one is none: nothing is read for it, and it stays.
    """
    references: set[ObjectId] = set()
    for holder in holders:
        with suppress(*BROKEN):
            references.update(it for _, it in evidence_of(holder) if isinstance(it, ObjectId))
    return references


@dataclass(slots=True)
class Held:
    """Documents whose evidence is read together, up to `most` statements: of the last one maybe a part.

    `after` is the last statement of that part; None when all that it holds is taken.
    """

    most: int
    holders: list[Mapping[str, Any]] = field(default_factory=list)
    references: set[ObjectId] = field(default_factory=set)
    after: ObjectId | None = None

    def take(self, holder: Mapping[str, Any], after: ObjectId | None = None) -> None:
        """Take what one more document holds, if only a part was taken before behind `after`. Not when it is full."""
        left = self.most - len(self.references)
        held = {it for it in references_of([holder]) if after is None or it > after} - self.references
        taken = held if len(held) <= left else nsmallest(left, held)
        self.holders.append(holder)
        self.references.update(taken)
        self.after = None if taken is held else max(taken)

    @property
    def is_full(self) -> bool:
        """Whether no more can be taken."""
        return len(self.references) >= self.most

    @property
    def done(self) -> int:
        """How many documents were taken to their end."""
        return len(self.holders) - (self.after is not None)


def holders_of(records: Iterable[StatementRecord], rules: JourneyRules, known: Identification) -> set[ObjectId]:
    """Return the ids of all documents that may hold one of the statements as evidence.

    Whatever `trackBy` the journey had, and however the settings told actors apart.
    """
    ways = {known, *(Identification(*flags) for flags in product((False, True), repeat=2))}
    return {
        progress
        for record in records
        if record.organisation == rules.organisation
        for track_by in ("actor", "persona")
        for way in ways
        for progress in _documents_of(record, rules, track_by, way)
    }


def _documents_of(record: StatementRecord, rules: JourneyRules, track_by: str, way: Identification) -> list[ObjectId]:
    owners = owners_of(record.document, track_by, way)
    if isinstance(owners, Uncounted):
        return []
    return [progress_id(rules.organisation, rules.id, owner) for owner in owners]


def foreseen(
    document: Mapping[str, Any] | None, retractions: Sequence[Retraction], appends: Sequence[Append], now: datetime
) -> dict[str, Any]:
    """Return a copy of a document (None: there is none yet) with all that was asked of it, for a dry run.

    What the store would write, in the same order: first the retractions, then the appends.
    """
    seen = deepcopy(dict(document)) if document is not None else _begun(appends[0], now)
    pending, asked = seen["pendingProgress"], seen["processing"].setdefault("replay", [])
    for retraction in retractions:
        for waypoint, statements in retraction.statements.items():
            if waypoint in pending:
                left = [it for it in pending[waypoint]["statements"] if it["statement"] not in statements]
                pending[waypoint] = {"statements": left}
        asked.append(retraction_entry(retraction))
    for append in appends:
        for waypoint, items in append.items.items():
            entry = pending.setdefault(waypoint, {"statements": []})
            entry["statements"] = [*entry["statements"], *items_to(items)]
        asked.append(replay_entry(append.replay or "", append.version))
    return seen


def _begun(append: Append, now: datetime) -> dict[str, Any]:
    return empty_document(append.progress, append.journey, append.organisation, append.owner, now)
