"""An immutable snapshot of all journeys, and the fast way to the waypoints a statement could count towards."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import bson
from bson import ObjectId

from processor.core.conditions import one_of
from processor.core.glance import Glance
from processor.core.journey import InvalidJourney, JourneyRules, WaypointRules, compile_journey
from processor.core.records import StatementRecord
from processor.core.shelves import Entry, Shelves


class Match(NamedTuple):
    """A waypoint that a statement counts towards."""

    journey: JourneyRules
    waypoint: WaypointRules


def is_voided(record: StatementRecord) -> bool:
    """Tell a voided statement: it counts nowhere."""
    return record.document.get("voided") is True


def takes_store(journey: JourneyRules, store: ObjectId | None) -> bool:
    """Tell whether a statement's store is one of the journey's sources; without sources every store is."""
    return not journey.sources or store in journey.sources


class JourneyIndex:
    """An immutable snapshot of all journeys, indexed by what their conditions make necessary.

    A waypoint is found under the values (verb, activity, store, …) that it can only match with; what allows no index
    is scanned, per organisation. The index never changes a verdict: candidates are evaluated in full.
    """

    def __init__(self, journeys: Iterable[JourneyRules], broken: Mapping[ObjectId, str] | None = None) -> None:
        self.journeys: Mapping[ObjectId, JourneyRules] = {journey.id: journey for journey in journeys}
        self.broken: Mapping[ObjectId, str] = broken or {}
        self.scanned: list[Match] = []
        """Those whose conditions no index helps with: each costs an evaluation per statement that may be its."""
        entries: dict[ObjectId, list[Entry[Match]]] = defaultdict(list)
        for journey in self.journeys.values():
            if journey.is_active:
                stores = one_of("lrs_id", journey.sources) if journey.sources else ()
                for waypoint in journey.active_waypoints.values():
                    required = waypoint.conditions.required
                    match = Match(journey, waypoint)
                    entries[journey.organisation].append(Entry(match, required + stores))
                    if not required:
                        self.scanned.append(match)
        self._shelves = {organisation: Shelves(found) for organisation, found in entries.items()}
        self.glance = Glance(self._shelves)
        """Tells from a record's bytes that it matches nothing."""

    def matches(self, record: StatementRecord) -> list[Match]:
        """Return every waypoint that the statement counts towards (semantics.md, section 3)."""
        shelves = self._shelves.get(record.organisation)
        document = record.document
        if shelves is None or is_voided(record):
            return []
        return [
            match
            for match in shelves.candidates(document)
            if takes_store(match.journey, record.store) and match.waypoint.conditions(document)
        ]


Known = Mapping[ObjectId, tuple[bytes, JourneyRules]]
"""Compiled journeys, each with the digest of the document it was compiled from."""


def index_journeys(
    documents: Iterable[Mapping[str, Any]], known: Known, before: JourneyIndex | None = None
) -> tuple[JourneyIndex, Known]:
    """Build a snapshot from journey documents as stored; a broken one is set aside alone, in `broken`.

    `known` holds what the last call compiled, and `before` is the snapshot that it made; unchanged journeys are taken
    from there, and when none has changed so is the snapshot. Returns the snapshot and the next `known`.
    """
    compiled: dict[ObjectId, tuple[bytes, JourneyRules]] = {}
    broken: dict[ObjectId, str] = {}
    for document in documents:
        key = document["_id"]
        digest = sha256(bson.encode(document)).digest()
        if key in known and known[key][0] == digest:
            compiled[key] = known[key]
            continue
        try:
            compiled[key] = (digest, compile_journey(document))
        except InvalidJourney as error:
            broken[key] = str(error)
    if before is not None and broken == before.broken and compiled == known:
        return before, known
    return JourneyIndex((rules for _, rules in compiled.values()), broken), compiled
