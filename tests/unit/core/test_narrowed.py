"""Conditions as a Mongo query: it may leave out nothing that our own verdict would take."""

from typing import Any

import pytest
from bson import ObjectId

from processor.core.conditions import any_of, compile_conditions, narrowed
from processor.core.journey import compile_journey
from processor.store.history import candidates
from tests.builders import ORGANISATION
from tests.simulation.recalculating import a_waypoint, the_journey

VERB = "statement.verb.id"
HEX = "59c23527bdf9ac67b2ab5ee6"


@pytest.mark.parametrize(
    ("conditions", "query"),
    [
        ({VERB: "x"}, {VERB: {"$in": ["x"]}}),
        ({VERB: {"$in": ["x", "y"]}}, {VERB: {"$in": ["x", "y"]}}),
        ({VERB: "x", "statement.result.success": True}, None),
        ({"$and": [{"$comment": "{}"}, {VERB: "x"}]}, {VERB: {"$in": ["x"]}}),
        ({"$or": [{VERB: "x"}, {VERB: "y"}]}, {"$or": [{VERB: {"$in": ["x"]}}, {VERB: {"$in": ["y"]}}]}),
        ({"$or": [{VERB: "x"}, {"lrs_id": {"$exists": True}}]}, {}),
        ({VERB: {"$ne": "x"}}, {}),
        ({VERB: {"$not": {"$eq": "x"}}}, {}),
        ({"$nor": [{VERB: "x"}]}, {}),
        ({VERB: {"$regex": "^x"}}, {}),
        ({VERB: {"$in": ["x", None]}}, {}),
        ({"statement.result.score": {"raw": 1}}, {}),
        ({"statement.result.extensions.http://a&46;b": 1}, {}),
        ({"statement.timestamp": "2026-01-01"}, {}),
        ({"person._id": {"$oid": HEX}}, {}),
        ({"statement.id": HEX}, {"statement.id": {"$in": [HEX, ObjectId(HEX)]}}),
        ({"statement.id": {"$oid": HEX}}, {}),
        ({"statement.result.score.raw": 2**63}, {}),
        ({"statement.result.score.raw": float("inf")}, {}),
        ({"statement.$x": 1}, {}),
        ({}, {}),
    ],
)
def test_what_is_taken_over(conditions: dict[str, Any], query: dict[str, Any] | None) -> None:
    if query is None:
        query = {"$and": [{VERB: {"$in": ["x"]}}, {"statement.result.success": {"$in": [True]}}]}
    assert narrowed(compile_conditions(conditions)) == query


def test_a_journey_reads_what_one_of_its_waypoints_could_match() -> None:
    store = ObjectId()
    off = a_waypoint(2, "z", isActive=False)
    rules = compile_journey(the_journey(a_waypoint(0, "a"), a_waypoint(1, "b"), off, sources=[store]))
    verbs = [{VERB: {"$in": [f"http://example.org/{verb}"]}} for verb in "ab"]
    expected = {"organisation": ORGANISATION, "voided": {"$ne": True}, "lrs_id": {"$in": [store]}, "$or": verbs}
    assert candidates(rules) == expected


def test_one_waypoint_that_leaves_nothing_out_and_all_is_read() -> None:
    assert any_of([{VERB: "x"}, {}]) == {}
    assert any_of([]) == {}
