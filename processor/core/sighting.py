"""Plain statements that may match are not read whole, where all that is asked of them is a verb, an activity, its type.

Most conditions are such, and most statements plain (`schemas/plain.py`): what a match makes of one is its reference,
its time and its owner. No dict is made of the rest, which is most of what reading one costs.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from bson import ObjectId
from msgspec import Struct

from processor.core.decode import DEPTH_LIMIT, known_id
from processor.core.index import Match
from schemas.dots import may_have_dots
from schemas.ids import parse_object_id, parse_timestamp
from schemas.plain import plain_document

VERB: Final = "statement.verb.id"
ACTIVITY: Final = "statement.object.id"
ACTIVITY_TYPE: Final = "statement.object.definition.type"

READ: Final = frozenset((VERB, ACTIVITY, ACTIVITY_TYPE))
"""The paths that may be asked for."""

LARGE: Final = 65_536
"""Bytes of a record that is read whole, as its parts may be larger than what takes them."""


class Sighting(Struct, frozen=True):
    """What counts of a statement document that was not read whole, and that the full xAPI model takes.

    `matches` are all that it counts towards. `document` has only what tells its owner (`identity.owners_of`).
    """

    document: Mapping[str, Any]
    reference: ObjectId
    timestamp: datetime
    matches: Sequence[Match]


def sighted(value: bytes, things: Sequence[Match]) -> Sighting | None:
    """Return what reading the record whole and matching would come to; None when that has to be done.

    `things` are all that the record may match, as a glance found, which knows it for a usual statement document.
    """
    if not all(_asks_for_texts(thing) for thing in things) or _may_be_unusual(value):
        return None
    found = plain_document(value)
    if found is None:
        return None
    try:
        store = known_id(found.store) if found.store else None
        timestamp = parse_timestamp(found.timestamp)
        parse_timestamp(found.stored)
        document = {
            "person": {"_id": parse_object_id(found.persona)} if found.persona else None,
            "statement": {"actor": orjson.loads(found.actor)},
        }
        reference = parse_object_id(found.id)
    except ValueError:
        return None
    texts = {VERB: found.verb, ACTIVITY: found.activity, ACTIVITY_TYPE: found.activity_type}
    matches = [thing for thing in things if _is_met(thing, texts, store)]
    return Sighting(document, reference, timestamp, matches)


def _asks_for_texts(match: Match) -> bool:
    texts = match.waypoint.conditions.texts
    return texts is not None and texts.keys() <= READ


def _is_met(match: Match, texts: Mapping[str, str | None], store: ObjectId | None) -> bool:
    journey, waypoint = match
    wanted = waypoint.conditions.texts or {}
    return all(texts[path] in some for path, some in wanted.items()) and (
        not journey.sources or store in journey.sources
    )


def _may_be_unusual(value: bytes) -> bool:
    """Tell what has to be judged by all that is in it: its depth, its size, dots in its keys."""
    return len(value) > LARGE or value.count(b"{") + value.count(b"[") > DEPTH_LIMIT or may_have_dots(value)
