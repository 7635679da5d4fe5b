"""Journeys as the matcher has them: compiled with every fault named, indexed, held as one snapshot."""

from typing import Any

import pytest
from bson import ObjectId

from processor.core.index import JourneyIndex, index_journeys
from processor.core.journey import InvalidJourney, compile_journey
from tests.builders import WAYPOINTS, a_journey, a_statement, a_statement_document
from tests.unit.core.decoding import statement_in

DID = "http://example.org/did"


def a_waypoint(conditions: Any, number: int = 0, **changes: Any) -> dict[str, Any]:
    return {"_id": WAYPOINTS[number], "isActive": True, "conditions": conditions, **changes}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"waypoints": [a_waypoint({"$where": "1"})]}, "waypoints[0].conditions.$where: "),
        ({"waypoints": [a_waypoint({}), a_waypoint({"a": {"$near": 1}}, 1)]}, "waypoints[1].conditions.a.$near: "),
        ({"waypoints": [a_waypoint("{not json")]}, "waypoints[0].conditions: "),
        ({"waypoints": [a_waypoint({}, count=0)]}, "waypoints[0].count: "),
        ({"isActive": "yes"}, "isActive: "),
        ({"trackBy": "team"}, "trackBy: "),
        ({"organisation": "us"}, "organisation: "),
        ({"waypoints": [a_waypoint({}), a_waypoint({})]}, "waypoints[1]._id: "),
        ({"waypoints": [a_waypoint({}, count=10_255)]}, "waypoints: an attempt of 1 waypoints and 10255 statements"),
    ],
)
def test_a_broken_journey_is_refused_with_the_path_of_the_fault(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidJourney) as raised:
        compile_journey(a_journey(**changes))
    assert str(raised.value).startswith(fault)


def test_an_attempt_that_fits_an_event_is_taken() -> None:
    assert len(compile_journey(a_journey(waypoints=[a_waypoint({}, count=10_250)])).waypoints) == 1


def test_every_fault_is_named_at_once() -> None:
    waypoints = [a_waypoint({"$where": "1"}), a_waypoint({"$expr": {}}, 1)]
    with pytest.raises(InvalidJourney, match=r"waypoints\[0\].*; waypoints\[1\]"):
        compile_journey(a_journey(waypoints=waypoints))


def test_conditions_are_an_object_or_a_json_string_of_one() -> None:
    for conditions in ({"statement.verb.id": DID}, '{"statement.verb.id": "http://example.org/did"}'):
        index = JourneyIndex([compile_journey(a_journey(waypoints=[a_waypoint(conditions)]))])
        assert len(index.matches(statement_in(a_statement()))) == 1


@pytest.mark.parametrize(
    "conditions", [{}, {"$comment": "soon"}, {"$and": [{}]}, {"$or": [{}]}, {"$or": [{"a": 1}, {"$and": [{}]}]}]
)
def test_a_waypoint_without_conditions_is_inactive_and_its_journey_does_not_run(conditions: object) -> None:
    rules = compile_journey(a_journey(waypoints=[a_waypoint(conditions)]))
    assert (rules.active_waypoints, rules.is_running) == ({}, False)
    assert compile_journey(a_journey()).is_running
    assert not compile_journey(a_journey(isActive=False)).is_running


def test_one_broken_journey_is_set_aside_alone() -> None:
    fine, broken = a_journey(), a_journey(waypoints=[a_waypoint({"$where": "1"})])
    index, known = index_journeys([broken, fine], {})
    assert list(index.journeys) == list(known) == [fine["_id"]]
    assert list(index.broken) == [broken["_id"]]
    assert "waypoints[0].conditions.$where" in index.broken[broken["_id"]]
    assert len(index.matches(statement_in(a_statement()))) == 1


def test_a_journey_has_so_many_regular_expressions_over_all_its_waypoints() -> None:
    conditions = {"$or": [{"a": {"$regex": f"{number}$"}} for number in range(100)]}
    waypoints = [a_waypoint(conditions, _id=ObjectId()) for _ in range(6)]
    assert len(compile_journey(a_journey(waypoints=waypoints[:5])).waypoints) == 5
    beyond = a_journey(waypoints=waypoints)
    index, _ = index_journeys([beyond, a_journey()], {})
    assert len(index.journeys) == 1
    assert index.broken[beyond["_id"]].startswith("waypoints: 600 regular expressions")


def test_when_no_journey_has_changed_the_snapshot_is_the_one_before() -> None:
    fine, broken = a_journey(), a_journey(waypoints=[a_waypoint({"$where": "1"})])
    index, known = index_journeys([broken, fine], {})
    assert index_journeys([fine, broken], known, index)[0] is index
    for others in ([fine], [broken], [broken, {**fine, "description": "another"}], [broken, fine, a_journey()]):
        after, _ = index_journeys(others, known, index)
        assert after is not index
        assert (len(after.journeys), len(after.broken)) == (len(others) - (broken in others), int(broken in others))


def test_a_journey_that_breaks_is_not_run_as_it_was_before() -> None:
    journey = a_journey()
    _, known = index_journeys([journey], {})
    index, _ = index_journeys([{**journey, "waypoints": [a_waypoint({"$where": "1"})]}], known)
    assert not index.journeys


def test_only_what_changed_is_compiled_again() -> None:
    same, changed = a_journey(), a_journey()
    before, known = index_journeys([same, changed], {})
    after, _ = index_journeys([same, {**changed, "version": 2}], known)
    assert after.journeys[same["_id"]] is before.journeys[same["_id"]]
    assert after.journeys[changed["_id"]].version == 2


def test_a_journey_that_is_gone_is_gone() -> None:
    index, known = index_journeys([], index_journeys([a_journey()], {})[1])
    assert (index.journeys, known) == ({}, {})


@pytest.mark.parametrize(
    "conditions",
    [
        {"statement.verb.id": DID},
        {"statement.verb.id": {"$in": [DID, "http://example.org/else"]}},
        {"$and": [{"statement.verb.id": DID}, {"statement.object.id": "http://example.org/it"}]},
        {"statement.verb.id": {"$ne": "http://example.org/else"}},
        {"$or": [{"statement.verb.id": DID}, {"statement.object.id": "x"}]},
        {"statement.context.contextActivities.parent.id": {"$in": ["http://example.org/a", "http://example.org/b"]}},
    ],
    ids=str,
)
def test_the_index_never_changes_a_verdict(conditions: dict[str, Any]) -> None:
    """Each is matched exactly once, beside waypoints that share its keys and some that no index helps with."""
    beside = [a_waypoint({"statement.verb.id": DID}, 1), a_waypoint({"statement.result": {"$exists": False}}, 2)]
    index = JourneyIndex([compile_journey(a_journey(waypoints=[a_waypoint(conditions), *beside]))])
    parents = [{"id": "http://example.org/a"}, {"id": "http://example.org/b"}]
    statement = {**a_statement(), "context": {"contextActivities": {"parent": parents}}}
    found = index.matches(statement_in(a_statement_document(statement=statement)))
    assert sorted(match.waypoint.id for match in found) == list(WAYPOINTS[:3])


def test_what_no_index_helps_with_is_told() -> None:
    rules = compile_journey(a_journey(waypoints=[a_waypoint({"statement.result": {"$exists": False}})]))
    assert [match.waypoint.id for match in JourneyIndex([rules]).scanned] == [WAYPOINTS[0]]
    assert JourneyIndex([compile_journey(a_journey())]).scanned == []


def test_a_statement_of_an_organisation_without_journeys_matches_nothing() -> None:
    index = JourneyIndex([compile_journey(a_journey(organisation=ObjectId()))])
    assert index.matches(statement_in(a_statement())) == []
