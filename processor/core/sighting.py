"""Plain statements that may match are not read whole, where all that is asked of them is a verb, an activity, its type.

Most conditions are such, and most statements plain (`schemas/plain.py`): what a match makes of one is its reference,
its time and its owner. No dict is made of the rest, which is most of what reading one costs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import compress
from typing import Any, TypeVar, cast

from bson import ObjectId
from msgspec import Struct

from processor.core.conditions import ACTIVITY, ACTIVITY_TYPE, VERB, Texts, texts_of
from processor.core.content import may_be_deep
from processor.core.decode import known_id
from processor.core.identity import ACTOR_LIMIT
from processor.core.index import Match, takes_store
from processor.core.shelves import Held
from schemas.dots import may_have_dots
from schemas.ids import parse_object_id, parse_timestamps
from schemas.plain import PlainDocument, plain_documents

Parsed = TypeVar("Parsed")


class Sighting(Struct, frozen=True):
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
    document. What is asked of each is asked of all at once, so that most loops run in C.
    """
    asked: dict[int, Sequence[Texts] | None] = {}
    places: list[int] = []
    plain: list[bytes] = []
    for place, (position, things) in enumerate(held):
        value, key = values[position], id(things)
        if key not in asked:
            asked[key] = _asked(things)
        if value is not None and asked[key] is not None:
            places.append(place)
            plain.append(value)
    if _may_be_unusual(plain):
        usual = [not _may_be_unusual([value]) for value in plain]
        places, plain = list(compress(places, usual)), list(compress(plain, usual))
    sightings: list[Sighting | None] = [None] * len(held)
    documents = plain_documents(plain)
    if None in documents:
        places = [place for place, it in zip(places, documents, strict=True) if it is not None]
    for place, sighting in zip(places, _sightings([it for it in documents if it], places, held, asked), strict=True):
        sightings[place] = sighting
    return sightings


def _sightings(
    documents: Sequence[PlainDocument],
    places: Sequence[int],
    held: Sequence[Held[Match]],
    asked: Mapping[int, Sequence[Texts] | None],
) -> Iterator[Sighting | None]:
    """Yield what is sighted in plain documents that are held at these places; None where an id or a time is none."""
    references = _references([it.id for it in documents])
    times = parse_timestamps({text for it in documents for text in (it.timestamp, it.stored)})
    stores = {text: _read(known_id, text) for text in {it.store for it in documents}}
    known: dict[tuple[Any, ...], list[Match]] = {}
    for document, place, reference in zip(documents, places, references, strict=True):
        timestamp, store = times[document.timestamp], stores[document.store]
        persona = None if document.persona is None else _read(parse_object_id, document.persona)
        if (
            (reference is None or timestamp is None or times[document.stored] is None)
            or (store is None and document.store is not None)
            or (persona is None and document.persona is not None)
        ):
            yield None
            continue
        things = held[place][1]
        key = id(things), document.verb, document.activity, document.activity_type, store
        matches = known.get(key)
        if matches is None:
            matches = known[key] = _matches(document, store, things or (), asked[id(things)] or ())
        yield Sighting(persona, document.actor, document.written_actor, reference, timestamp, matches)


def _asked(things: Sequence[Match] | None) -> Sequence[Texts] | None:
    """Return the texts that each of the things asks for; None if one asks for more."""
    if things is None:
        return None
    asked = [texts_of(thing.waypoint.conditions) for thing in things]
    return None if None in asked else cast("list[Texts]", asked)


def _matches(
    document: PlainDocument, store: ObjectId | None, things: Sequence[Match], asked: Sequence[Texts]
) -> list[Match]:
    there = {VERB: document.verb, ACTIVITY: document.activity, ACTIVITY_TYPE: document.activity_type}
    return [
        thing
        for thing, texts in zip(things, asked, strict=True)
        if all(there[path] in wanted for path, wanted in texts.items()) and takes_store(thing.journey, store)
    ]


def _references(texts: Sequence[str]) -> list[ObjectId | None]:
    """Read ids; None where one is none."""
    try:
        digits = bytes.fromhex("".join(texts))
    except ValueError:
        digits = b""
    if len(digits) == 12 * len(texts) and set(map(len, texts)) <= {24}:
        return list(map(ObjectId, (digits[start : start + 12] for start in range(0, len(digits), 12))))
    return [_read(parse_object_id, text) for text in texts]


def _read(parse: Callable[[str], Parsed], text: str | None) -> Parsed | None:
    try:
        return None if text is None else parse(text)
    except ValueError:
        return None


def _may_be_unusual(values: Sequence[bytes]) -> bool:
    """Tell what has to be judged by all that is in it: its depth, its size, dots in its keys. Of any of the values."""
    return (
        max(map(len, values), default=0) > ACTOR_LIMIT // 2
        or may_have_dots(b" ".join(values))
        or any(map(may_be_deep, values))
    )
