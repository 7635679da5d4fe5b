"""Learning Locker's dialect (semantics.md, section 3): where conditions mean more than mongod would say."""

from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId

from processor.core.conditions import InvalidConditions, compile_conditions

ID = ObjectId("59c23b28f6463f3569446bd1")
HEX = str(ID)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WHEN = {"timestamp": NOON, "stored": NOON.replace(hour=13), "statement": {"timestamp": "2026-01-01T12:00:00Z"}}
EXTENSION = "https://w3id.org/xapi/video/extensions/progress"
ENCODED = EXTENSION.replace(".", "&46;")


def matches(query: Any, document: dict[str, Any]) -> bool:
    return compile_conditions(query)(document)


@pytest.mark.parametrize("asked", [{"$oid": HEX}, HEX, HEX.upper(), ID, {"$in": [{"$oid": HEX}]}, {"$in": [HEX]}])
@pytest.mark.parametrize("found", [ID, HEX, HEX.upper()])
def test_an_object_id_and_its_hex_digits_are_equal(asked: Any, found: Any) -> None:
    """Between an id and a string; two strings are equal letter by letter, as ever."""
    is_equal = asked == found or isinstance(found, ObjectId) or "$oid" in str(asked) or isinstance(asked, ObjectId)
    is_equal = is_equal or asked == {"$in": [found]}
    assert matches({"lrs_id": asked}, {"lrs_id": found}) is is_equal
    assert matches({"lrs_id": {"$ne": ID}}, {"lrs_id": found}) is False


def test_ids_are_equal_within_documents_and_lists_too() -> None:
    assert matches({"person": {"_id": {"$oid": HEX}}}, {"person": {"_id": HEX}})
    assert matches({"ids": [{"$oid": HEX}]}, {"ids": [HEX]})
    assert matches({"lrs_id": {"$gte": {"$oid": HEX}}}, {"lrs_id": HEX})
    assert not matches({"lrs_id": {"$oid": HEX}}, {"lrs_id": "59c23b28f6463f3569446bd"})


@pytest.mark.parametrize("key", [EXTENSION, ENCODED])
@pytest.mark.parametrize(
    "query",
    [
        {f"statement.result.extensions.{ENCODED}": {"$gte": 0.9}},
        {"statement.result": {"extensions": {ENCODED: 0.95}}},
        {"statement.result": {"extensions": {EXTENSION: 0.95}}},
        {"statement.result": {"$in": [{"extensions": {EXTENSION: 0.95}}]}},
    ],
)
def test_a_dot_in_a_key_is_the_same_encoded_and_plain(key: str, query: dict[str, Any]) -> None:
    document = {"statement": {"result": {"extensions": {key: 0.95}}}}
    assert matches(query, document)
    assert not matches(query, {"statement": {"result": {"extensions": {f"{key}-": 0.95}}}})


@pytest.mark.parametrize(
    "asked",
    [
        "2026-01-01T12:00:00Z",
        "2026-01-01T13:00:00+01:00",
        {"$gte": "2026-01-01", "$lt": "2026-01-02"},
        {"$gt": {"$dte": "2026-01-01T11:59:59.999Z"}},
        {"$in": ["2025-01-01T00:00:00Z", "2026-01-01T12:00:00.000Z"]},
        {"$not": {"$lt": "2026-01-01T12:00:00Z"}},
        {"$type": "date"},
        {"$date": "2026-01-01T12:00:00Z"},
        {"$date": {"$numberLong": "1767268800000"}},
    ],
)
def test_statement_timestamp_means_the_documents_date(asked: Any) -> None:
    assert matches({"statement.timestamp": asked}, WHEN)
    assert matches({"$and": [{"$or": [{"statement.timestamp": asked}]}]}, WHEN)
    assert matches({"statement.stored": asked}, {"stored": NOON})
    other = {"timestamp": NOON.replace(year=2024), "statement": {"timestamp": "2026-01-01T12:00:00Z"}}
    assert matches({"statement.timestamp": asked}, other) is (asked == {"$type": "date"})


@pytest.mark.parametrize("spelling", ["$dte", "$date"])
def test_dates_are_spelled_in_two_ways_and_equal_no_string(spelling: str) -> None:
    assert matches({"timestamp": {spelling: "2026-01-01T12:00:00.0009Z"}}, WHEN)
    assert not matches({"timestamp": "2026-01-01T12:00:00Z"}, WHEN)
    assert not matches({"statement.timestamp": {"$regex": "^2026"}}, WHEN)


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"lrs_id": {"$oid": "59c2"}}, "$.lrs_id.$oid"),
        ({"lrs_id": {"$in": [{"$oid": 5}]}}, "$.lrs_id.$in[0].$oid"),
        ({"timestamp": {"$gte": {"$dte": "yesterday"}}}, "$.timestamp.$gte.$dte"),
        ({"statement.timestamp": {"$gte": "noon"}}, "$.statement.timestamp.$gte"),
        ({"statement.stored": "2026-13-01"}, "$.statement.stored"),
    ],
)
def test_what_is_no_id_and_no_date_is_refused_with_its_path(query: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidConditions) as raised:
        compile_conditions(query)
    assert raised.value.path == path


def test_learning_lockers_query_builder() -> None:
    """A criterion with its label, as its documentation shows one (learning-locker-behaviour.md, 1.3)."""
    conditions = compile_conditions(
        '{"$and":[{"$comment":"{\\"criterionLabel\\":\\"A\\",\\"criteriaPath\\":[\\"statement\\",\\"verb\\"]}",'
        '"statement.verb.id":{"$in":["http://adlnet.gov/expapi/verbs/completed"]}},'
        '{"$comment":"{}","person._id":{"$in":[{"$oid":"59c23b28f6463f3569446bd1"}]}}]}'
    )
    statement = {"verb": {"id": "http://adlnet.gov/expapi/verbs/completed"}}
    assert conditions({"statement": statement, "person": {"_id": ID, "display": "Ana"}})
    assert not conditions({"statement": statement, "person": None})


def test_over_many_lines_re2_begins_one_behind_the_last_newline() -> None:
    """mongod does not (processor/core/conditions/regex.py, DECISIONS 20)."""
    assert matches({"a": {"$regex": "^$", "$options": "m"}}, {"a": "a\n"})
    assert not matches({"a": {"$regex": "^$", "$options": "m"}}, {"a": "a\nb"})


def test_ids_and_their_spellings_are_ordered_alike() -> None:
    """mongod finds no order between a string and an ObjectId (DECISIONS 20)."""
    assert matches({"a": {"$gt": {"$oid": HEX}}}, {"a": "f" * 24})
    assert matches({"a": {"$lt": "f" * 24}}, {"a": ID})
    assert not matches({"a": {"$gt": {"$oid": HEX}}}, {"a": "f"})
