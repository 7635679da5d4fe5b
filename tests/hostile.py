"""Hostile records: what a broken or ill-meaning producer could write, made from real statements by a die."""

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from processor.core.index import JourneyIndex
from processor.core.journey import compile_journey
from schemas.journey import with_ids
from tests.builders import ORGANISATION

KEYS = (
    "$set",
    "$where",
    "$ref",
    "$oid",
    "$date",
    "",
    ".",
    "a.b",
    "a&46;b",
    "a\0b",
    "_id",
    "__proto__",
    "statement",
    "ö" * 300,
)
TIMES = (
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999999Z",
    "9999-12-31T23:59:59-23:59",
    "2026-02-30T10:00:00Z",
    "2026-01-01T10:00:00+99:99",
    "2026-01-01T24:00:00Z",
    "2026-01-01T10:00:60Z",
    "-0001-01-01T00:00:00Z",
    "+12026-01-01T00:00:00Z",
    {"$date": 10**18},
    {"$date": {"$numberLong": "9" * 19}},
    {"$dte": "0000-00-00"},
)
SCALARS = (
    *(None, True, False, 0, -1, 0.1, -0.0, 1e308, 5e-324, float("nan"), float("inf"), float("-inf")),
    *(2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400),
    *("", " ", "\0", "\ud800", "\udfff\ud800", "$where", "null", "a" * 70_000, "\u202e", "ﬀ", "𐀀"),
    *("mailto:", "mailto:a@b\0c", "http://", "5" * 24, "(a+)+$", "&46;", "59198183d8ea540933227033"),
)
LITERALS = (
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"01",
    b"'",
    b"\xff",
    b"\xed\xa0\x80",
    b"\x00",
    b"\\ud800",
    b"{",
    b"]",
    b"\xef\xbb\xbf",
)


def mutated(value: Any, dice: random.Random) -> bytes:
    """Break a JSON value in one to three places, in its tree or in its bytes, and write it down."""
    tree = json.loads(json.dumps(value))
    for _ in range(dice.randint(1, 3)):
        tree = _broken(tree, dice)
    raw = _written(tree, dice)
    if dice.random() < 0.2 and raw:
        place = dice.randrange(len(raw))
        raw = raw[:place] + dice.choice(LITERALS) + raw[place + dice.randint(0, 3) :]
    return raw


def _written(tree: Any, dice: random.Random) -> bytes:
    """Write a tree; lone surrogates as escapes, or as the bytes that UTF-8 does not have."""
    text = json.dumps(tree, ensure_ascii=dice.random() < 0.8)
    return text.encode("utf-8", "surrogatepass")


def _broken(tree: Any, dice: random.Random) -> Any:
    places = list(_places(tree))
    if not places:
        return thing(dice)
    parent, key = dice.choice(places)
    match dice.randrange(5):
        case 0:
            del parent[key]
        case 1:
            parent[key] = [parent[key], thing(dice)]
        case 2:
            parent[key] = {dice.choice(KEYS): parent[key]}
        case 3 if isinstance(parent, dict):
            parent[dice.choice(KEYS)] = thing(dice)
        case _:
            parent[key] = thing(dice)
    return tree


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key, child in list(value.items()) if isinstance(value, dict) else list(enumerate(value)):
            yield value, key
            yield from _places(child)


def thing(dice: random.Random) -> Any:
    """A value that nobody expects, or a small tree of them."""
    match dice.randrange(6):
        case 0 | 1:
            return dice.choice(SCALARS)
        case 2:
            return deepcopy(dice.choice(TIMES))
        case 3:
            return {dice.choice(KEYS): thing(dice) for _ in range(dice.randint(0, 3))}
        case 4:
            return [thing(dice) for _ in range(dice.randint(0, 3))]
        case _:
            return _nested(dice.choice((3, 62, 70, 200)))


def _nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


CONDITIONS: tuple[dict[str, Any], ...] = (
    {"statement.verb.id": {"$exists": True}},
    {"statement.verb.id": {"$ne": "x"}},
    {"statement.actor.mbox": {"$regex": "^mailto:.*(a+)+$"}},
    {"statement.result.score.scaled": {"$gte": 0.5, "$lt": 2**63}},
    {"statement.result.extensions.https://w3id&46;org/xapi/video/extensions/time": {"$mod": [3, 1]}},
    {"statement.context.contextActivities.parent": {"$elemMatch": {"id": {"$type": "string"}}}},
    {"$nor": [{"statement.object.definition.name.en-US": {"$in": [None, "", 2**62]}}]},
    {"timestamp": {"$gt": {"$date": "2021-01-01T00:00:00Z"}}},
    {"statement.context": {"$size": 2}},
    {"person._id": "59198183d8ea540933227033"},
)


def broad_journeys() -> JourneyIndex:
    """Journeys by actor and by persona with conditions of every kind, the first of which takes nearly everything."""
    journeys = (
        {
            "organisation": ORGANISATION,
            "description": track_by,
            "isActive": True,
            "trackBy": track_by,
            "waypoints": [{"conditions": conditions, "count": 1, "order": 0} for conditions in CONDITIONS],
        }
        for track_by in ("actor", "persona")
    )
    return JourneyIndex(compile_journey(with_ids(journey)) for journey in journeys)
