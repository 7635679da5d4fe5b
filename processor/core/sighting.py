"""Plain statements that may match are not read whole, where all that is asked of them is a verb, an activity, its type.

Most conditions are such, and most statements plain (`schemas/plain.py`): what a match makes of one is its reference,
its time and its owner. No dict is made of the rest, which is most of what reading one costs.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final

from bson import ObjectId
from msgspec import Struct

from processor.core.conditions import ACTIVITY, ACTIVITY_TYPE, VERB, Texts, texts_of
from processor.core.glance import CHUNK, Glance
from processor.core.identity import ACTOR_LIMIT
from processor.core.index import Match, takes_store
from processor.core.shelves import Held
from schemas.ids import parse_object_ids, parse_timestamps
from schemas.plain import PlainDocument, plain_documents

SIZE: Final = 2_097_152
"""Bytes that are read together: what is read takes thirteen times as much memory."""


class Sighting(Struct, frozen=True, gc=False):
    """What counts of a statement document that was not read whole, and that the full xAPI model takes.

    `matches` are all that it counts towards. `persona` is the document's; `actor` is its actor, and `written_actor` the
    same as it is written: the same bytes, the same actor.
    """

    persona: ObjectId | None
    actor: Mapping[str, Any]
    written_actor: bytes
    reference: ObjectId
    timestamp: datetime
    matches: Sequence[Match]

    @property
    def document(self) -> Mapping[str, Any]:
        """Only what tells its owner (`identity.owners_of`)."""
        person = None if self.persona is None else {"_id": self.persona}
        return {"person": person, "statement": {"actor": self.actor}}


def sighted(values: Sequence[bytes | None], held: Sequence[Held[Match]]) -> list[Sighting | None]:
    """Return of each that is held what reading the record whole and matching would come to; None where that has to be.

    What is held is what a glance found in the values: all that a record may match, which is known for a usual statement
    document.
    """
    sightings: list[Sighting | None] = [None] * len(held)
    asked = list(_asked_for_texts(values, held))
    for some in _chunks([value for _, value, _ in asked]):
        places, those, things = zip(*asked[some], strict=True)
        for place, sighting in zip(places, _sightings(plain_documents(_usual(those)), things), strict=True):
            sightings[place] = sighting
    return sightings


def sighted_at_once(values: Sequence[bytes | None], glance: Glance) -> list[Sighting | None]:
    """Return of each value what reading the record whole and matching would come to; None has to be glanced at.

    To be looked at twice is a waste where nearly all match. What matches nothing is a sighting without matches, so no
    plain document may be one that the structural check refuses. Only where the glance `is_told_by_plain`.
    """
    there = [value or b"" for value in values]
    return [it for some in _chunks(there) for it in _at_once(there[some], glance)]


def _chunks(values: Sequence[bytes]) -> Iterator[slice]:
    """Yield what is read together: as for a glance, so that an odd one costs others little, and not too much memory."""
    for start in range(0, len(values), CHUNK):
        end = min(start + CHUNK, len(values))
        if sum(map(len, values[start:end])) <= SIZE:
            yield slice(start, end)
        else:
            yield from (slice(place, place + 1) for place in range(start, end))


def _at_once(values: Sequence[bytes], glance: Glance) -> list[Sighting | None]:
    values = _usual(values)
    if not all(map(bytes.isascii, values)):
        values = [value if _is_utf8(value) else b"" for value in values]
    documents = plain_documents(values)
    held = iter(glance.held_by([it for it in documents if it]))
    return _sightings(documents, [next(held) if it else None for it in documents])


def _is_utf8(value: bytes) -> bool:
    """Tell what a glance sees to, also in what is passed over."""
    try:
        return value.isascii() or bool(value.decode())
    except UnicodeDecodeError:
        return False


def _asked_for_texts(
    values: Sequence[bytes | None], held: Sequence[Held[Match]]
) -> Iterator[tuple[int, bytes, Sequence[Match]]]:
    """Yield the places of what may be sighted, each with the record's value and what it may match."""
    known: dict[int, bool] = {}
    for place, (position, things) in enumerate(held):
        value = values[position]
        if things is None or value is None:
            continue
        is_asked = known.get(id(things))
        if is_asked is None:
            is_asked = known[id(things)] = all(_texts(thing) is not None for thing in things)
        if is_asked:
            yield place, value, things


def _usual(values: Sequence[bytes]) -> Sequence[bytes]:
    """Return the values, and nothing in the place of the large ones, whose actor may be too large."""
    if max(map(len, values), default=0) <= ACTOR_LIMIT // 2:
        return values
    return [b"" if len(value) > ACTOR_LIMIT // 2 else value for value in values]


def _sightings(
    documents: Sequence[PlainDocument | None], things: Sequence[Sequence[Match] | None]
) -> list[Sighting | None]:
    """Return what is sighted in each. What is asked of each is asked of all at once: so most loops run in C.

    Where one has an id or a time that is none, each is looked at alone.
    """
    plain = [it for it in documents if it]
    others = [it for it in {it.lrs_id for it in plain} | {it.persona for it in plain} if it is not None]
    try:
        references = iter(parse_object_ids([it.id for it in plain]))
        timestamps = iter(parse_timestamps([it.timestamp for it in plain]))
        parse_timestamps([it.stored for it in plain if it.stored != it.timestamp])
        ids = dict(zip([*others, None], [*parse_object_ids(others), None], strict=True))
    except ValueError:
        if len(documents) == 1:
            return [None]
        alone = (_sightings([it], [those]) for it, those in zip(documents, things, strict=True))
        return list(chain.from_iterable(alone))
    known: dict[tuple[Any, ...], list[Match] | None] = {}
    sightings: list[Sighting | None] = []
    for document, those in zip(documents, things, strict=True):
        if document is None:
            sightings.append(None)
            continue
        reference, timestamp = next(references), next(timestamps)
        key = id(those), document.verb, document.activity, document.activity_type, document.lrs_id
        if key not in known:
            known[key] = _matches(document, ids[document.lrs_id], those)
        matches = known[key]
        persona = ids[document.persona]
        sightings.append(
            None
            if matches is None
            else Sighting(persona, document.actor, document.written_actor, reference, timestamp, matches)
        )
    return sightings


def _matches(document: PlainDocument, store: ObjectId | None, things: Sequence[Match] | None) -> list[Match] | None:
    """Return which of the things match; None if one asks for more than texts, or it may be anything."""
    if things is None:
        return None
    there = {VERB: document.verb, ACTIVITY: document.activity, ACTIVITY_TYPE: document.activity_type}
    matches: list[Match] = []
    for thing in things:
        texts = _texts(thing)
        if texts is None:
            return None
        if all(there[path] in wanted for path, wanted in texts.items()) and takes_store(thing.journey, store):
            matches.append(thing)
    return matches


def _texts(thing: Match) -> Texts | None:
    return texts_of(thing.waypoint.conditions)
