"""What conditions mean, by example: each row is a query, documents that match it, and documents that do not.

`test_tables.py` holds our conditions to it; `tests/integration/test_conditions_tables.py` asks a mongod about each row.
"""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from bson import Int64, ObjectId

Json = Any

NAN = float("nan")
INF = float("inf")
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
DAY_AFTER = datetime(2026, 1, 2, tzinfo=UTC)
ID = ObjectId("59c23b28f6463f3569446bd1")
OTHER_ID = ObjectId("59c23b28f6463f3569446bd2")
NOTHING: dict[str, Json] = {}


class Row(NamedTuple):
    query: dict[str, Json]
    matches: list[dict[str, Json]]
    misses: list[dict[str, Json]]


def a(*values: Json) -> list[dict[str, Json]]:
    """Documents that have each of the values under `a`."""
    return [{"a": value} for value in values]


EQUALITY = [
    Row({}, [NOTHING, *a(1)], []),
    Row({"a": 1}, a(1, 1.0, Int64(1), [1], [0, 1.0]), [NOTHING, *a(2, "1", True, None, [[1]], {"a": 1})]),
    Row({"a": {"$eq": "x"}}, a("x", ["x"]), [NOTHING, *a("X", "x ", None)]),
    Row({"a": 2**53 + 1}, a(2**53 + 1), a(2**53, 2.0**53)),
    Row({"a": 0}, a(0, 0.0, -0.0), a(False, None, "", [])),
    Row({"a": True}, a(True, [True]), a(1, "true", [1])),
    Row({"a": NAN}, a(NAN, [NAN]), [NOTHING, *a(0, None, INF)]),
    Row({"a": NEW_YEAR}, a(NEW_YEAR, [NEW_YEAR]), a(DAY_AFTER, "2026-01-01T00:00:00Z", None)),
    Row({"a": ID}, a(ID, [OTHER_ID, ID]), a(OTHER_ID, None)),
    Row({"a": {"$ne": 1}}, [NOTHING, *a(2, None, "1", [2])], a(1, 1.0, [1, 2])),
    Row({"a": 1, "b": 2}, [{"a": 1, "b": 2}], [{"a": 1}, {"b": 2}, {"a": 1, "b": 3}]),
]
NULL = [
    Row({"a": None}, [NOTHING, *a(None, [None], [1, None])], a(0, "", [], [1], {})),
    Row({"a": {"$ne": None}}, a(0, "", [], {}), [NOTHING, *a(None, [None])]),
    Row({"a": {"$in": [None, 1]}}, [NOTHING, *a(None, 1)], a(2, [])),
    Row({"a": {"$nin": [None]}}, a(0, []), [NOTHING, *a(None)]),
    Row({"a": {"$gte": None}}, [NOTHING, *a(None)], a(0, "")),
    Row({"a": {"$gt": None}}, [], [NOTHING, *a(None, 0)]),
    Row({"a.b": None}, [NOTHING, *a({}, 5, {"b": None}, [{}], [{"b": 1}, {}])], a({"b": 1}, [5], [])),
    Row({"a.b": {"$ne": None}}, a({"b": 1}, [5], []), [NOTHING, *a({}, 5)]),
]
WHOLE_VALUES = [
    Row({"a": {"b": 1}}, a({"b": 1}, {"b": 1.0}, [{"b": 1}]), a({"b": 1, "c": 2}, {"b": 2}, {}, 1)),
    Row({"a": {"b": 1, "c": 2}}, a({"b": 1, "c": 2}), a({"c": 2, "b": 1})),
    Row({"a": {}}, a({}, [{}]), [NOTHING, *a({"b": 1}, [], None)]),
    Row({"a": [1, 2]}, a([1, 2], [[1, 2]], [0, [1, 2]]), a([2, 1], [1], [1, 2, 3], 1)),
    Row({"a": []}, a([], [[]]), [NOTHING, *a(None, [1], {})]),
    Row({"a": [None]}, a([None]), a([], None, [1])),
]
ORDER = [
    Row({"a": {"$gt": 1}}, a(2, 1.5, INF, [0, 2]), [NOTHING, *a(1, 0, NAN, "2", True, None, [1], NEW_YEAR)]),
    Row({"a": {"$gte": 1}}, a(1, 1.0, 2), a(0.999, NAN, [])),
    Row({"a": {"$lt": 1}}, a(0, -INF, [2, 0]), [NOTHING, *a(1, NAN, None, "", False)]),
    Row({"a": {"$lte": NAN}}, a(NAN), a(0, -INF, None)),
    Row({"a": {"$gt": "a"}}, a("b", "aa", "é"), a("a", "B", 1, None)),
    Row({"a": {"$gte": NEW_YEAR, "$lt": DAY_AFTER}}, a(NEW_YEAR), a(DAY_AFTER, "2026-01-01", 1_767_225_600_000)),
    Row({"a": {"$gt": 1, "$lt": 3}}, a(2, [0, 5], [1, 3]), a(1, 3, [3, 4])),
    Row({"a": {"$gt": False}}, a(True), a(False, 1)),
    Row({"a": {"$gt": [1]}}, a([2], [1, 0], [[1, 1]]), a([1], [0, 9], 2)),
    Row({"a": {"$gt": {"b": 1}}}, a({"b": 2}, {"c": 0}, {"b": 1, "c": 0}), a({"b": 1}, {"a": 9}, {})),
    Row({"a": {"$lt": ID}}, a(ObjectId("0" * 24)), a(ID, OTHER_ID, "x")),
]
LISTS = [
    Row({"a": {"$in": [1, "x"]}}, a(1, 1.0, "x", ["x"]), [NOTHING, *a(2, "1", True, None)]),
    Row({"a": {"$in": []}}, [], [NOTHING, *a(1, [], None)]),
    Row({"a": {"$nin": []}}, [NOTHING, *a(1, [])], []),
    Row({"a": {"$in": [[1, 2]]}}, a([1, 2], [[1, 2]]), a([1], 1)),
    Row({"a": {"$in": [{"b": 1}]}}, a({"b": 1}), a({"b": 1, "c": 1})),
    Row({"a": {"$in": [{"$regex": "^x"}, 1]}}, a("xy", 1, ["xy"]), a("yx", 2, None)),
    Row({"a": {"$nin": [{"$regex": "^x"}]}}, [NOTHING, *a("yx", 1)], a("xy", ["y", "x"])),
    Row({"a": {"$in": [NAN]}}, a(NAN), a(0)),
]
PATHS = [
    Row({"a.b": 1}, a({"b": 1}, [{"b": 1}], [{"b": 2}, {"b": 1}], {"b": [1]}), [NOTHING, *a({"b": 2}, [[{"b": 1}]])]),
    Row({"a.0": 1}, a([1, 2], {"0": 1}, [{"0": 1}]), a([2, 1], [], 1)),
    Row({"a.0.b": 1}, a([{"b": 1}, {"b": 2}], [[{"b": 1}]]), a([{"b": 2}, {"b": 1}])),
    Row({"a.1": {"$exists": True}}, a([1, 2], {"1": None}), a([1], {}, 5)),
    Row({"a.b.c": 1}, a({"b": [{"c": 1}]}, [{"b": {"c": 1}}]), a({"b": {"d": 1}}, {"b": 1})),
    Row({"a.b": {"$gt": 1, "$lt": 3}}, a([{"b": 0}, {"b": 9}], {"b": 2}), a([{"b": 3}, {"b": 4}])),
    Row({"a.00": 1}, a({"00": 1}), a([1], {"0": 1})),
]
ARRAYS = [
    Row({"a": {"$all": [1, 2]}}, a([2, 1], [1, 2, 3]), [NOTHING, *a([1], 1, [[1, 2]])]),
    Row({"a": {"$all": [1]}}, a(1, [1]), a(2)),
    Row({"a": {"$all": []}}, [], [NOTHING, *a([], 1)]),
    Row({"a": {"$all": [[1, 2]]}}, a([1, 2], [[1, 2]]), a([2, 1])),
    Row({"a": {"$all": [{"$regex": "^x"}, "y"]}}, a(["xx", "y"]), a(["xx"], "y")),
    Row(
        {"a": {"$all": [{"$elemMatch": {"b": 1}}, {"$elemMatch": {"b": 2}}]}},
        a([{"b": 1}, {"b": 2}]),
        a([{"b": 1}], {"b": 1}),
    ),
    Row({"a": {"$elemMatch": {"$gt": 1, "$lt": 3}}}, a([0, 2]), [NOTHING, *a([1, 3], 2, [[2]])]),
    Row({"a": {"$elemMatch": {"b": 1, "c": 2}}}, a([{"b": 1, "c": 2}]), a([{"b": 1}, {"c": 2}], {"b": 1, "c": 2})),
    Row({"a": {"$elemMatch": {"$or": [{"b": 1}, {"c": 1}]}}}, a([{"c": 1}]), a([{"b": 2}], [1])),
    Row({"a": {"$elemMatch": {"b": None}}}, a([{}], [{"b": None}]), a([1], [])),
    Row({"a": {"$size": 0}}, a([]), [NOTHING, *a([1], None, "")]),
    Row({"a": {"$size": 2}}, a([1, 2], [[], []]), a([1], 2, [[1, 2]])),
]
LOGIC = [
    Row({"$and": [{"a": {"$gt": 1}}, {"a": {"$lt": 3}}]}, a(2, [0, 5]), a(1, 3)),
    Row({"$or": [{"a": 1}, {"b": 1}]}, [{"a": 1}, {"b": 1}, {"a": 1, "b": 1}], [NOTHING, *a(2)]),
    Row({"$nor": [{"a": 1}, {"b": 1}]}, [NOTHING, *a(2)], [{"a": 1}, {"b": 1}]),
    Row({"a": {"$not": {"$gt": 1}}}, [NOTHING, *a(1, "x", None, [0])], a(2, [0, 2])),
    Row({"a": {"$not": {"$regex": "^x"}}}, [NOTHING, *a("yx", 1, [])], a("xy", ["y", "xy"])),
    Row({"a": {"$not": {"$eq": None}}}, a(1, []), [NOTHING, *a(None)]),
    Row({"a": {"$not": {"$exists": True}}}, [NOTHING], a(None, 1)),
    Row({"a": {"$not": {"$not": {"$eq": 1}}}}, a(1), a(2)),
    Row({"$comment": "a label", "a": 1}, a(1), a(2)),
    Row({"$and": [{"$comment": "a label", "a": 1}, {"$or": [{"b": 1}, {"$nor": [{"c": 1}]}]}]}, a(1), a(2)),
]
KINDS = [
    Row({"a": {"$exists": True}}, a(None, 0, [], ""), [NOTHING]),
    Row({"a": {"$exists": False}}, [NOTHING], a(None, [])),
    Row({"a.b": {"$exists": False}}, [NOTHING, *a({}, [], 1, [1])], a({"b": None}, [{}, {"b": 1}])),
    Row({"a": {"$type": "string"}}, a("", ["x"]), [NOTHING, *a(1, None, [1])]),
    Row({"a": {"$type": "number"}}, a(1, 1.5, Int64(2), NAN), a("1", True)),
    Row({"a": {"$type": "int"}}, a(1, 2**31 - 1), a(1.0, 2**31)),
    Row({"a": {"$type": "long"}}, a(2**31, -(2**40)), a(1, 1.0)),
    Row({"a": {"$type": "double"}}, a(1.0, NAN), a(1)),
    Row({"a": {"$type": ["bool", "null"]}}, a(True, None, [False]), [NOTHING, *a(0)]),
    Row({"a": {"$type": "array"}}, a([], [1]), a(1, {})),
    Row({"a": {"$type": 3}}, a({}, [{}]), a([], 1)),
    Row({"a": {"$type": "date"}}, a(NEW_YEAR), a("2026-01-01", 1)),
    Row({"a": {"$type": "objectId"}}, a(ID), a("x", 1)),
    Row({"a": {"$mod": [3, 1]}}, a(1, 4, 4.9, [3, 4]), [NOTHING, *a(3, -4, "4", NAN, INF)]),
    Row({"a": {"$mod": [3, -1]}}, a(-1, -4, -4.9), a(4, 2)),
]
REGEX = [
    Row({"a": {"$regex": "b"}}, a("abc", ["x", "b"]), [NOTHING, *a("B", 1, None)]),
    Row({"a": {"$regex": "B", "$options": "i"}}, a("abc", "ABC"), a("x")),
    Row({"a": {"$regex": "^b"}}, a("b"), a("a\nb")),
    Row({"a": {"$regex": "^b", "$options": "m"}}, a("a\nb", "b"), a("ab")),
    Row({"a": {"$regex": "a.b"}}, a("axb"), a("a\nb")),
    Row({"a": {"$regex": "a.b", "$options": "s"}}, a("axb", "a\nb"), a("ab")),
    Row({"a": {"$regex": "b$"}}, a("ab", "ab\n"), a("ba", "b\n\n")),
    Row({"a": {"$regex": r"^\d+$"}}, a("12"), a("1a", "")),
    Row({"a": {"$regex": "é", "$options": "i"}}, a("CAFÉ", "é"), a("e")),
    Row({"a": {"$regex": ""}}, a("", "x"), a(1, None)),
    Row({"a": {"$regex": r"^[^[:]+\s\d+$"}}, a("room 7", "room 7\n"), a("[ 7", ": 7", "room7")),
    Row({"a": {"$regex": "[[:]x$"}}, a("[x", ":x\n"), a("x", "]x")),
    Row({"a": {"$regex": r"[[:]\S[:[]"}}, a(":a["), a(": [", ":a")),
    Row({"a": {"$regex": r"^[[:digit:][:^alpha:]\s]\s$"}}, a("7 ", "_\n"), a("a ", "7")),
]
TABLES = {
    "equality": EQUALITY,
    "null and missing": NULL,
    "whole documents and arrays": WHOLE_VALUES,
    "order": ORDER,
    "lists": LISTS,
    "paths": PATHS,
    "arrays": ARRAYS,
    "logic": LOGIC,
    "kinds": KINDS,
    "regular expressions": REGEX,
}
ROWS = [(name, row) for name, rows in TABLES.items() for row in rows]
