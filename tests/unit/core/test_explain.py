"""Explain: every reason why a statement is or is no evidence, and where it stands in a progress document."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest
from bson import ObjectId
from msgspec import structs

from processor.core.completions import items_to
from processor.core.explain import Explaining, Place, Standing, effort_of, explain, progress_ids
from processor.core.explained import render_explanation
from processor.core.fold import Outcome
from processor.core.identity import Identification
from processor.core.journey import JourneyRules, compile_journey
from processor.core.policy import FoldingPolicy
from processor.core.promotion import promote
from processor.core.records import StatementRecord
from tests.builders import START, WAYPOINTS, a_journey, a_statement_record, an_item, at

DID = {"statement.verb.id": "http://example.org/did"}
GROUP = {"objectType": "Group", "member": [{"mbox": "mailto:ana@example.org"}, {"mbox": "mailto:ben@example.org"}]}
STORE = ObjectId("59c236a0bdf9ac67b2ab5ee7")


def rules(*conditions: Mapping[str, Any], count: int = 1, **changes: Any) -> JourneyRules:
    waypoints = [
        {"_id": key, "conditions": asked, "order": order, "count": count}
        for order, (key, asked) in enumerate(zip(WAYPOINTS, conditions or (DID,), strict=False))
    ]
    return compile_journey(a_journey(waypoints=waypoints, **changes))


def obstacles(journey: JourneyRules, record: StatementRecord) -> list[str]:
    explanation = explain(journey, record, Explaining(START))
    return list(explanation.waypoints[0].obstacles)


def changed(record: StatementRecord, **fields: Any) -> StatementRecord:
    return structs.replace(record, document={**record.document, **fields})


def test_evidence_has_no_obstacle() -> None:
    assert obstacles(rules(), a_statement_record()) == []


@pytest.mark.parametrize(
    ("journey", "record", "reason"),
    [
        (rules(isActive=False), a_statement_record(), "journey-inactive"),
        (rules(organisation=STORE), a_statement_record(), "other-organisation"),
        (rules(sources=[STORE]), a_statement_record(), "other-store"),
        (rules(), changed(a_statement_record(), voided=True), "voided"),
        (rules({}), a_statement_record(), "empty-conditions"),
        (rules({"statement.verb.id": "x"}), a_statement_record(), "conditions-not-met"),
        (rules(trackBy="persona"), a_statement_record(), "no-persona"),
        (rules(), a_statement_record(actor=GROUP), "anonymous-group"),
        (rules(), a_statement_record(result={"score": {"scaled": 7}}), "invalid-statement"),
    ],
)
def test_every_obstacle_is_named(journey: JourneyRules, record: StatementRecord, reason: str) -> None:
    assert obstacles(journey, record) == [reason]


def test_an_inactive_waypoint() -> None:
    document = a_journey()
    document["waypoints"][0]["isActive"] = False
    assert obstacles(compile_journey(document), a_statement_record()) == ["waypoint-inactive"]


def test_all_obstacles_are_named_at_once() -> None:
    found = obstacles(rules({"a": 1}, isActive=False, sources=[STORE]), changed(a_statement_record(), voided=True))
    assert found == ["journey-inactive", "other-store", "voided", "conditions-not-met"]


def test_a_fault_is_told_in_full() -> None:
    explanation = explain(rules(), a_statement_record(result={"score": {"scaled": 7}}), Explaining(START))
    assert explanation.fault is not None
    assert "result.score.scaled" in explanation.fault


def test_clause_by_clause() -> None:
    asked = {
        "$or": [{"statement.verb.id": "x"}, {"statement.object.id": "http://example.org/it"}],
        "statement.result.score.scaled": {"$gte": 0.6, "$lt": 1},
        "$nor": [{"a": {"$exists": True}}],
    }
    explanation = explain(rules(asked), a_statement_record(), Explaining(START))
    [waypoint] = render_explanation(explanation)["waypoints"]
    assert not waypoint["matches"]
    assert [(it["operator"], it["verdict"]) for it in waypoint["clauses"]] == [
        ("$or", True),
        ("$gte", False),
        ("$lt", False),
        ("$nor", True),
    ]
    assert waypoint["clauses"][0]["clauses"] == [
        {
            "operator": "$eq",
            "path": "statement.verb.id",
            "asked": "x",
            "found": ["http://example.org/did"],
            "verdict": False,
        },
        {
            "operator": "$eq",
            "path": "statement.object.id",
            "asked": "http://example.org/it",
            "found": ["http://example.org/it"],
            "verdict": True,
        },
    ]
    assert waypoint["clauses"][1]["found"] == []


class World:
    """A progress document that grows by promotions, and what explain says of statements with it at hand."""

    def __init__(self, journey: JourneyRules) -> None:
        self.rules = journey
        [self.key] = progress_ids(journey, a_statement_record(), Identification())
        self.document: dict[str, Any] = {
            "_id": self.key,
            "journey": journey.id,
            "organisation": journey.organisation,
            "pendingProgress": {},
            "completions": [],
            "processing": {},
        }

    def append(self, number: int, waypoint: str = WAYPOINTS[0]) -> None:
        pending = self.document["pendingProgress"].setdefault(waypoint, {"statements": []})
        pending["statements"] += items_to([an_item(number)])

    def promote(self) -> None:
        done = promote(self.document, self.rules, FoldingPolicy(), START)
        self.document |= {**done.changed, "pendingProgress": {}}
        self.document["processing"] |= done.processing

    def standing(self, number: int, position: int = 0, **changes: Any) -> Standing:
        record = structs.replace(a_statement_record(number, **changes), timestamp=at(number))
        explanation = explain(self.rules, record, Explaining(START, progresses={self.key: self.document}))
        [standing] = explanation.waypoints[position].standings
        return standing


def is_at(standing: Standing, place: Place, outcome: Outcome | None, attempt: int | None = None) -> bool:
    return (standing.place, standing.outcome, standing.attempt) == (place, outcome, attempt)


def test_first_evidence_would_count() -> None:
    explanation = explain(rules(), a_statement_record(), Explaining(START))
    [standing] = explanation.waypoints[0].standings
    assert standing.is_new
    assert is_at(standing, Place.NOWHERE, Outcome.COUNTED, 0)


def test_pending_then_counted_then_full() -> None:
    world = World(rules(DID, {"b": 1}))
    world.append(1)
    assert is_at(world.standing(1), Place.PENDING, Outcome.COUNTED, 0)
    world.promote()
    assert not world.standing(1).is_new
    assert is_at(world.standing(1), Place.COUNTED, Outcome.COUNTED, 0)
    assert is_at(world.standing(2), Place.NOWHERE, Outcome.FULL)
    world.append(2)
    world.promote()
    assert is_at(world.standing(2), Place.SURPLUS, Outcome.FULL)
    assert is_at(world.standing(2, position=1), Place.NOWHERE, None)


def test_out_of_sequence() -> None:
    world = World(rules({"b": 1}, DID, isSequential=True))
    assert is_at(world.standing(1, position=1), Place.NOWHERE, Outcome.OUT_OF_SEQUENCE)
    world.append(1, WAYPOINTS[1])
    world.promote()
    assert is_at(world.standing(1, position=1), Place.SURPLUS, Outcome.OUT_OF_SEQUENCE)


def test_after_completion() -> None:
    world = World(rules())
    world.append(1)
    world.promote()
    assert is_at(world.standing(2), Place.NOWHERE, Outcome.AFTER_COMPLETION)


def test_the_next_attempt_of_a_repeatable_journey() -> None:
    world = World(rules(DID, isRepeatable=True))
    world.append(1)
    world.promote()
    assert is_at(world.standing(2), Place.NOWHERE, Outcome.COUNTED, 1)


def test_what_completed_an_attempt_does_not_open_the_next() -> None:
    world = World(rules(DID, DID, isRepeatable=True))
    world.append(1, WAYPOINTS[1])
    world.append(2, WAYPOINTS[0])
    world.promote()
    world.append(2, WAYPOINTS[1])
    assert is_at(world.standing(2, position=1), Place.PENDING, Outcome.COMPLETED_LAST)


def test_evidence_before_a_sealed_attempt() -> None:
    world = World(rules(DID, isRepeatable=True))
    world.append(5)
    world.promote()
    world.rules = replace(world.rules, version=2)  # the attempt was completed under version 1
    assert is_at(world.standing(1), Place.NOWHERE, Outcome.SEALED)
    assert is_at(world.standing(5), Place.COUNTED, Outcome.COUNTED, 0)


def test_a_journey_that_does_not_run_decides_nothing() -> None:
    world = World(rules(DID))
    world.append(1)
    world.rules = replace(world.rules, is_active=False)
    assert is_at(world.standing(1), Place.PENDING, None)


def test_each_member_of_a_group_has_a_standing() -> None:
    by = Identification(count_group_members=True)
    record = a_statement_record(actor=GROUP)
    explanation = explain(rules(), record, Explaining(START, by))
    assert [it.progress for it in explanation.waypoints[0].standings] == progress_ids(explanation.rules, record, by)
    assert len(explanation.waypoints[0].standings) == 2


def test_it_is_json() -> None:
    asked = {"lrs_id": {"$in": [{"$oid": "59c236a0bdf9ac67b2ab5ee7"}]}, "statement.timestamp": {"$gt": "2025-01-01"}}
    explanation = explain(rules(asked), changed(a_statement_record(), lrs_id=STORE), Explaining(START))
    told = orjson.loads(orjson.dumps(render_explanation(explanation)))
    assert told["waypoints"][0]["clauses"][0]["found"] == [str(STORE)]
    assert told["waypoints"][0]["clauses"][1]["asked"] == "2025-01-01T00:00:00.000Z"
    assert told["waypoints"][0]["progress"][0]["outcome"] == "counted"


def test_a_large_value_is_shown_shortened_and_says_so() -> None:
    value = {
        "text": "x" * 201,
        "list": list(range(12)),
        "deep": {"a": {"b": {"c": 1}}, "empty": {}},
        **{f"more{number}": number for number in range(9)},
    }
    explanation = explain(rules({"statement.big": 1}), a_statement_record(big=value), Explaining(START))
    [found] = render_explanation(explanation)["waypoints"][0]["clauses"][0]["found"]
    assert found["text"] == "x" * 200 + "…"
    assert found["list"] == [*range(10), "… and 2 more"]
    assert found["deep"] == {"a": {"b": "…"}, "empty": {}}
    assert (len(found), found["…"]) == (11, "and 2 more")


def test_the_effort_grows_with_clauses_values_texts_and_attempts() -> None:
    journey, record, by = rules(), a_statement_record(), Explaining(START)
    alone = effort_of(journey, record, by)
    assert effort_of(rules(DID, DID), record, by) == 2 * alone
    assert effort_of(rules({"a": {"$all": list(range(9))}}), record, by) >= 10 * alone
    assert effort_of(rules({"a": {"$in": list(range(9))}}), record, by) == alone
    for unlike in ({"b": 1}, [1], {"$regex": "x"}):  # looked for one by one
        assert effort_of(rules({"a": {"$in": [unlike] * 9}}), record, by) >= 10 * alone
    assert effort_of(journey, a_statement_record(long=[0] * 100), by) == alone + 101
    assert effort_of(journey, a_statement_record(long="x" * 1_000), by) == alone + 11
    progress: dict[str, Any] = {"completions": [{"waypoints": {}}] * 50}
    assert effort_of(journey, record, Explaining(START, progresses={STORE: progress})) == alone + 50
