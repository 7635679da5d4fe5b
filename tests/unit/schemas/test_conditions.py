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
    ],
)
def test_what_is_refused(written: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_conditions(written)
