"""Statements to evidence, against one snapshot of the journeys (semantics.md, sections 2 and 3)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import bson
from bson import ObjectId
from msgspec import Struct
from pydantic import ValidationError

from processor.core.evidence import Append, Item, Owner, each_once
from processor.core.identity import ACTOR_LIMIT, Identification, Uncounted, owners_of, progress_id
from processor.core.index import JourneyIndex, Match
from processor.core.journey import JourneyRules
from processor.core.records import Reason, Rejected, StatementRecord
from processor.core.sighting import Sighting
from schemas.dots import decode_dots, encode_dots, may_have_dots
from schemas.plain import is_plain
from schemas.statement import first_fault, validate_statement

DOCUMENT_LIMIT = 16_777_216
"""Bytes of a document that MongoDB takes."""


@dataclass(slots=True)
class Matched:
    """What a batch of statements comes to: evidence to append, bare statements to keep, rejects, and counts."""

    appends: list[Append] = field(default_factory=list)
    kept: list[StatementRecord] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    matches: int = 0
    uncounted: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Matched") -> None:
        """Add what the next statements come to; a document may then have several appends."""
        self.appends += other.appends
        self.kept += other.kept
        self.rejected += other.rejected
        self.matches += other.matches
        self.uncounted += other.uncounted


def match(
    records: Iterable[StatementRecord | Sighting], index: JourneyIndex, identification: Identification
) -> Matched:
    """Match a batch of statements; the evidence for one progress document comes as one append.

    A statement that matches must pass the full xAPI model, and a bare one must be writable; else it is rejected
    and counts nowhere. Of what was sighted under the same index that is known.
    """
    matched = Matched()
    collected = _Collected(identification)
    for record in records:
        if isinstance(record, Sighting):
            collected.add_sighted(record)
            matched.matches += len(record.matches)
            continue
        matches = index.matches(record)
        if not matches:
            continue
        rejected = fault_of(record)
        if rejected:
            matched.rejected.append(rejected)
            continue
        matched.matches += len(matches)
        counted = [collected.add(record, found) for found in matches]
        if record.is_bare and any(counted):
            matched.kept.append(record)
    matched.appends = [evidence.append(progress) for progress, evidence in collected.evidence.items()]
    matched.uncounted = collected.uncounted
    return matched


class _Evidence(Struct, eq=False):
    """What a batch holds for one progress document, by waypoint."""

    journey: JourneyRules
    owner: Owner
    items: dict[str, list[Item]] = {}  # msgspec makes a new one for each

    def append(self, progress: ObjectId) -> Append:
        return Append(
            progress=progress,
            organisation=self.journey.organisation,
            journey=self.journey.id,
            version=self.journey.version,
            owner=self.owner,
            items={waypoint: each_once(items) for waypoint, items in self.items.items()},
        )


@dataclass(slots=True)
class _Collected:
    """The evidence of a batch by progress id; of actors that come again, written the same way, where theirs goes."""

    identification: Identification
    evidence: dict[ObjectId, _Evidence] = field(default_factory=dict)
    uncounted: Counter[str] = field(default_factory=Counter)
    known: dict[tuple[bytes, int], Sequence[list[Item]]] = field(default_factory=dict)

    def add(self, record: StatementRecord, found: Match) -> bool:
        """Add one match to the evidence of each owner; say whether it is anybody's."""
        places, item = self._places(record, found), Item(record.reference, record.timestamp)
        for items in places:
            items.append(item)
        return bool(places)

    def add_sighted(self, record: Sighting) -> None:
        """Add what was sighted. In one loop, as this is done for each statement that matches."""
        known, actor, item = self.known, record.written_actor, Item(record.reference, record.timestamp)
        for found in record.matches:
            key = actor, id(found)  # of one snapshot: and an ObjectId is hashed slowly
            places = known.get(key)
            if places is None:
                places = self._places(record, found)
                if found.journey.track_by == "actor":
                    known[key] = places
            for items in places:
                items.append(item)

    def _places(self, record: StatementRecord | Sighting, found: Match) -> Sequence[list[Item]]:
        """Return where the items of each owner go; count why a match is nobody's."""
        journey = found.journey
        owners = owners_of(record.document, journey.track_by, self.identification)
        if isinstance(owners, Uncounted):
            self.uncounted[owners] += 1
            return ()
        return [self._of(journey, owner).items.setdefault(found.waypoint.id, []) for owner in owners]

    def _of(self, journey: JourneyRules, owner: Owner) -> _Evidence:
        progress = progress_id(journey.organisation, journey.id, owner)
        known = self.evidence.get(progress)
        if known is None:
            known = self.evidence[progress] = _Evidence(journey, owner)
        return known


def fault_of(record: StatementRecord) -> Rejected | None:
    """Hold a matching statement to the full xAPI model, and what is kept of it to what MongoDB can store."""
    try:
        statement, value = record.document["statement"], record.record.value
        plain = decode_dots(statement) if value is None or may_have_dots(value) else statement
        if not is_plain(plain):
            validate_statement(plain)
        _check_writable(record)
    except ValidationError as error:
        return Rejected(record.record, Reason.INVALID_STATEMENT, first_fault(error), record.item)
    except (bson.errors.InvalidDocument, OverflowError, RecursionError) as error:
        return Rejected(record.record, Reason.UNWRITABLE, f"MongoDB cannot hold it: {error}"[:500], record.item)
    return None


def _check_writable(record: StatementRecord) -> None:
    """Check the actor, which becomes the owner's `ident`, and a bare statement, which is kept whole.

    Raises what `bson.encode` raises, and InvalidDocument for what is too large. Sizes are only taken where the record
    is large enough: an actor holds nothing that BSON would double, and a dot that is escaped makes five bytes of one.
    """
    statement = record.document["statement"]
    if len(record.record.value or b"") > ACTOR_LIMIT // 2 and len(bson.encode(statement["actor"])) > ACTOR_LIMIT:
        raise bson.errors.InvalidDocument(f"its actor has more than {ACTOR_LIMIT} bytes")
    if record.is_bare and len(bson.encode(record.document)) > DOCUMENT_LIMIT // 5:
        size = len(bson.encode({**record.document, "statement": encode_dots(statement)}))
        if size > DOCUMENT_LIMIT:
            raise bson.errors.InvalidDocument(f"it comes to {size} bytes, more than {DOCUMENT_LIMIT}")
