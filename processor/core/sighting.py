"""Plain statements that may match are not read whole, where all that is asked of them is a verb, an activity, its type.

Most conditions are such, and most statements plain (`schemas/plain.py`): what a match makes of one is its reference,
its time and its owner. No dict is made of the rest, which is most of what reading one costs.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId
from msgspec import Struct

from processor.core.conditions import ACTIVITY, ACTIVITY_TYPE, VERB, texts_of
from processor.core.content import may_be_deep
from processor.core.decode import known_id
from processor.core.identity import ACTOR_LIMIT
from processor.core.index import Match, takes_store
from schemas.dots import may_have_dots
from schemas.ids import parse_object_id, parse_timestamp
from schemas.plain import plain_document


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


def sighted(value: bytes, things: Sequence[Match]) -> Sighting | None:
    """Return what reading the record whole and matching would come to; None when that has to be done.

    `things` are all that the record may match, as a glance found, which knows it for a usual statement document.
    """
    asked = [texts_of(thing.waypoint.conditions) for thing in things]
    if None in asked:
        return None
    found = None if _may_be_unusual(value) else plain_document(value)
    if found is None:
        return None
    try:
        parse_timestamp(found.stored)  # a statement whose time of storage is none is rejected
        timestamp, reference = parse_timestamp(found.timestamp), parse_object_id(found.id)
        store = None if found.store is None else known_id(found.store)
        persona = None if found.persona is None else parse_object_id(found.persona)
    except ValueError:
        return None
    there = {VERB: found.verb, ACTIVITY: found.activity, ACTIVITY_TYPE: found.activity_type}
    matches = []
    for thing, texts in zip(things, asked, strict=True):
        assert texts is not None
        for path, wanted in texts.items():
            if there[path] not in wanted:
                break
        else:
            if takes_store(thing.journey, store):
                matches.append(thing)
    return Sighting(persona, found.actor, found.written_actor, reference, timestamp, matches)


def _may_be_unusual(value: bytes) -> bool:
    """Tell what has to be judged by all that is in it: its depth, its size, dots in its keys."""
    return len(value) > ACTOR_LIMIT // 2 or may_be_deep(value) or may_have_dots(value)
