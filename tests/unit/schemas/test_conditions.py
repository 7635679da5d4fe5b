"""How conditions may be written down, and what they are read as."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from bson import ObjectId, Regex
from bson.int64 import Int64

from schemas.conditions import parse_conditions

HEX = "59c23b28f6463f3569446bdc"


@pytest.mark.parametrize(
    ("written", "conditions"),
    [
        ('{"a.b": {"$in": [1, null]}}', {"a.b": {"$in": [1, None]}}),
        ({"a.b": {"$in": [1, None]}}, {"a.b": {"$in": [1, None]}}),
        ({"n": Int64(5), "x": 0.5, "b": False}, {"n": 5, "x": 0.5, "b": False}),
        ({"lrs_id": ObjectId(HEX)}, {"lrs_id": {"$oid": HEX}}),
        (
            {"timestamp": {"$gte": datetime(2026, 1, 1, tzinfo=UTC)}},
            {"timestamp": {"$gte": {"$dte": "2026-01-01T00:00:00.000Z"}}},
        ),
        ({"timestamp": {"$lt": date(2026, 1, 1)}}, {"timestamp": {"$lt": {"$dte": "2026-01-01T00:00:00.000Z"}}}),
        ('{"a": [18446744073709551615, -9223372036854775808]}', {"a": [2**64 - 1, -(2**63)]}),
        ("{}", {}),
        ("  ", {}),
        ("null", {}),
        (None, {}),
    ],
)
def test_conditions_in_every_spelling(written: Any, conditions: dict[str, Any]) -> None:
    assert parse_conditions(written) == conditions


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('{"a": }', "not JSON: Expecting value: line 1 column 7"),
        ("[]", "conditions are a Mongo query"),
        (5, "conditions are a Mongo query"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"a": NaN}', r"\$\.a: nan cannot be written as JSON"),
        ({"a": [{"b": Regex("x")}]}, r"\$\.a\[0\]\.b: Regex.* cannot be written as JSON"),
        ({"a": {True: 1}}, r"\$\.a: key True is not a string"),
        ('{"a": {"$lt": 18446744073709551616}}', r"\$\.a\.\$lt: a whole number has at most 64 bits"),
        ({"$comment": [-(2**63) - 1]}, r"\$\.\$comment\[0\]: a whole number has at most 64 bits"),
        ({"a": 10**5_000}, r"\$\.a: a whole number has at most 64 bits"),
        ('{"a": "x\\ud800"}', r"\$\.a: half a surrogate pair"),
        ('{"a": {"\\udc00": 1}}', r"\$\.a: half a surrogate pair"),
    ],
)
def test_what_is_refused(written: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_conditions(written)
