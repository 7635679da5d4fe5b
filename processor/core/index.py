"""An immutable snapshot of all journeys, and the fast way to the waypoints a statement could count towards."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bson import ObjectId

from processor.core.conditions import keys_at
from processor.core.journey import InvalidJourney, JourneyRules, WaypointRules, compile_journey
from processor.core.records import StatementRecord


class Match(NamedTuple):
    """A waypoint that a statement counts towards."""

    journey: JourneyRules
    waypoint: WaypointRules


class JourneyIndex:
    """An immutable snapshot of all journeys, indexed by what their conditions make necessary.

    A waypoint stands under the values of one path that it can only match with (verb, activity, …), chosen so
    that it shares them with as few others as possible; what allows no index is scanned, per organisation. The
    index never changes a verdict: candidates are evaluated in full.
    """

    def __init__(self, journeys: Iterable[JourneyRules], broken: Mapping[ObjectId, str] | None = None) -> None:
        self.journeys: Mapping[ObjectId, JourneyRules] = {journey.id: journey for journey in journeys}
        self.broken: Mapping[ObjectId, str] = broken or {}
        by_organisation: dict[ObjectId, list[Match]] = defaultdict(list)
        for journey in self.journeys.values():
            if journey.is_active:
                by_organisation[journey.organisation] += [
                    Match(journey, waypoint) for waypoint in journey.active_waypoints.values()
                ]
        self._shelves = {organisation: _Shelf(matches) for organisation, matches in by_organisation.items()}

    def matches(self, record: StatementRecord) -> list[Match]:
        """Return every waypoint that the statement counts towards (semantics.md, section 3)."""
        shelf = self._shelves.get(record.organisation)
        if shelf is None or record.document.get("voided") is True:
            return []
        return [
            match
            for match in shelf.candidates(record.document)
            if (not match.journey.sources or record.store in match.journey.sources)
            and match.waypoint.conditions(record.document)
        ]

    @property
    def scanned(self) -> list[Match]:
        """The waypoints that no index helps with: each costs an evaluation per statement of its organisation."""
        return [match for shelf in self._shelves.values() for match in shelf.scanned]


class _Shelf:
    """The waypoints of one organisation: by path, by value at that path, and the rest."""

    def __init__(self, matches: Sequence[Match]) -> None:
        popularity: Counter[tuple[str, Any]] = Counter(
            (requirement.path, key)
            for match in matches
            for requirement in match.waypoint.conditions.required
            for key in requirement.values
        )
        self.scanned: list[Match] = []
        self._by_path: dict[str, dict[Any, list[Match]]] = defaultdict(dict)
        for match in matches:
            requirement = min(
                match.waypoint.conditions.required,
                key=lambda it: max((popularity[it.path, key] for key in it.values), default=0),
                default=None,
            )
            if requirement is None:
                self.scanned.append(match)
                continue
            for key in requirement.values:
                self._by_path[requirement.path].setdefault(key, []).append(match)

    def candidates(self, document: Mapping[str, Any]) -> Iterator[Match]:
        yield from self.scanned
        for path, shelf in self._by_path.items():
            keys = set(keys_at(document, path))
            if len(keys) == 1:
                yield from shelf.get(keys.pop(), ())
            else:  # an array at the path: a waypoint must not come twice
                found = {id(match): match for key in keys for match in shelf.get(key, ())}
                yield from found.values()


def index_journeys(
    documents: Iterable[Mapping[str, Any]], known: Mapping[ObjectId, tuple[Mapping[str, Any], JourneyRules]]
) -> tuple[JourneyIndex, dict[ObjectId, tuple[Mapping[str, Any], JourneyRules]]]:
    """Build a snapshot from journey documents as stored; a broken one is set aside alone, in `broken`.

    `known` holds what the last call compiled; unchanged journeys are taken from there. Returns the snapshot and
    the next `known`.
    """
    compiled: dict[ObjectId, tuple[Mapping[str, Any], JourneyRules]] = {}
    broken: dict[ObjectId, str] = {}
    for document in documents:
        key = document["_id"]
        if key in known and known[key][0] == document:
            compiled[key] = known[key]
            continue
        try:
            compiled[key] = (document, compile_journey(document))
        except InvalidJourney as error:
            broken[key] = str(error)
    return JourneyIndex((rules for _, rules in compiled.values()), broken), compiled
