"""A recalculation as a value, and the folding of what it asks (semantics.md, sections 4 and 7)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from bson.datetime_ms import DatetimeMS
from msgspec import structs

from processor.core.changes import changes_between
from processor.core.evidence import Item, Promotion
from processor.core.fold import fold
from processor.core.journey import JourneyRules
from processor.core.policy import FoldingPolicy
from processor.core.promotion import needed_version, promote
from processor.core.recalculation import Recalculation, Stage, status_of
from processor.testing.writes import apply_promotion
from tests.builders import JOURNEY, WAYPOINTS, a_reference, an_item, at, journey_rules
from tests.property.test_fold import a_document, appended

FIRST, SECOND = WAYPOINTS[:2]
ASKED = Recalculation(JOURNEY, "run", Stage.RETRACT, at(0))
PATIENCE = timedelta(minutes=1)


def retracting(*numbers: int, version: int = 1, waypoint: str = FIRST, key: str = "chunk") -> dict[str, Any]:
    return {"key": key, "version": version, "retract": {waypoint: [a_reference(number) for number in numbers]}}


def folded(
    document: dict[str, Any], rules: JourneyRules, *items: Item, waypoint: str = FIRST, replay: Any = ()
) -> Promotion:
    appended(document, [(waypoint, item) for item in items])
    if replay:
        document["processing"]["replay"] = list(replay)
    promotion = promote(document, rules, FoldingPolicy(), at(1_000))
    apply_promotion(document, promotion, at(1_000))
    return promotion


def counted(document: dict[str, Any]) -> list[list[int]]:
    return [
        [
            int(str(item["statement"]), 16)
            for waypoint in attempt["waypoints"].values()
            for item in waypoint["statements"]
        ]
        for attempt in document["completions"]
    ]


def changes(promotion: Promotion) -> list[str]:
    assert promotion.event is not None
    return [change["type"] for change in orjson.loads(promotion.event.data)["changes"]]


def in_parts(document: dict[str, Any], rules: JourneyRules, policy: FoldingPolicy) -> list[Promotion]:
    """Promote until nothing is left."""
    promotions = [promote(document, rules, policy, at(1_000))]
    apply_promotion(document, promotions[0], at(1_000))
    return [*promotions, *(in_parts(document, rules, policy) if promotions[0].is_partial else [])]


def test_f1_parts_are_the_earliest_so_that_none_is_too_late_for_the_last() -> None:
    """Evidence waits in any order: a part in that order would seal what the next still had to change."""
    rules, policy = journey_rules((0, 2), (1, 1), repeatable=True), FoldingPolicy(100, timedelta(seconds=5))
    evidence = [(WAYPOINTS[number % 3 == 0], an_item(number)) for number in range(1, 31)]
    whole, parts = a_document(), a_document()
    for document in (whole, parts):
        appended(document, evidence[::-1])
    assert len(in_parts(whole, rules, policy)) == 1
    assert len(in_parts(parts, rules, replace(policy, pending_limit=3))) > 5
    assert parts["completions"] == whole["completions"]
    assert counted(parts)


def test_f1_of_what_is_at_one_instant_none_is_taken_before_the_earlier() -> None:
    rules, policy = journey_rules((0, 1), repeatable=True), FoldingPolicy(100, timedelta(seconds=5), pending_limit=4)
    document = a_document()
    together = [structs.replace(an_item(number), timestamp=at(50)) for number in (51, 52, 53)]
    appended(document, [(FIRST, item) for item in (*together, an_item(3), an_item(1), an_item(2))])
    assert sum(it.dropped.get("sealed", 0) for it in in_parts(document, rules, policy)) == 0
    assert counted(document) == [[1], [2], [3], [51], [52], [53]]


def test_f1_what_a_recalculation_has_found_is_never_too_late() -> None:
    document, rules = a_document(), journey_rules((0, 1), repeatable=True)
    policy = FoldingPolicy(lateness_horizon=timedelta(seconds=5))
    folded(document, rules, an_item(10))
    appended(document, [(FIRST, an_item(5)), (FIRST, an_item(30))])
    document["processing"]["replay"] = [{"key": "chunk", "version": 1}]
    [promotion] = in_parts(document, rules, policy)
    assert (counted(document), promotion.dropped) == ([[5], [10], [30]], {})
    appended(document, [(FIRST, an_item(4)), (FIRST, an_item(31))])
    [promotion] = in_parts(document, rules, policy)
    assert (counted(document), promotion.dropped) == ([[5], [10], [30], [31]], {"sealed": 1})


def test_what_a_recalculation_asked_is_done_with_the_last_part_and_retracted_before_the_first() -> None:
    document, rules = a_document(), journey_rules((0, 9))
    folded(document, rules, an_item(1), an_item(2))
    appended(document, [(FIRST, an_item(number)) for number in (2, 3, 4, 5)])
    found = {"key": "later", "version": 1}
    document["processing"]["replay"] = [retracting(1, 2), found]
    first, second, third = in_parts(document, rules, FoldingPolicy(pending_limit=2))
    assert (first.consumed, first.replayed) == ({}, (retracting(1, 2),))
    assert (second.replayed, third.replayed) == ((), (found,))
    assert counted(document) == [[2, 3, 4, 5]]
    assert all(it.event is None or it.event.replay for it in (first, second, third))
    assert document["processing"]["replay"] == []


def test_retracted_evidence_is_uncounted_and_the_event_is_a_replay() -> None:
    document, rules = a_document(), journey_rules((0, 2))
    folded(document, rules, an_item(1), an_item(2))
    assert document["isCompleted"]
    promotion = folded(document, rules, replay=[retracting(1)])
    assert counted(document) == [[2]]
    assert not document["isCompleted"]
    assert set(promotion.removed) == {"completedAt", "duration"}
    assert promotion.event is not None
    assert promotion.event.replay
    assert changes(promotion) == ["recalculated", "reverted", "reverted"]
    assert document["processing"]["replay"] == []


def test_a_live_change_is_no_replay() -> None:
    promotion = folded(a_document(), journey_rules((0, 2)), an_item(1))
    assert promotion.event is not None
    assert not promotion.event.replay


def test_surplus_takes_the_place_of_what_is_retracted_and_can_be_retracted_itself() -> None:
    document, rules = a_document(), journey_rules((0, 1), (1, 1))
    folded(document, rules, an_item(1), an_item(2), an_item(3))
    promotion = folded(document, rules, replay=[retracting(1, 2)])
    assert counted(document) == [[3]]
    assert not document["processing"]["surplus"]
    assert changes(promotion) == ["recalculated", "progressed"]


def test_the_last_evidence_gone_the_attempt_is_gone() -> None:
    document, rules = a_document(), journey_rules((0, 2))
    folded(document, rules, an_item(1))
    promotion = folded(document, rules, replay=[retracting(1)])
    assert document["completions"] == []
    assert "startedAt" not in document
    assert changes(promotion) == ["reverted"]


def test_what_is_pending_was_found_after_the_retraction_and_counts() -> None:
    document, rules = a_document(), journey_rules((0, 2))
    folded(document, rules, an_item(1))
    promotion = folded(document, rules, an_item(1), replay=[retracting(1)])
    assert counted(document) == [[1]]
    assert promotion.event is None  # nothing has changed, nothing is published
    assert document["processing"]["replay"] == []


def test_a_retraction_decided_under_another_version_takes_nothing_back() -> None:
    document, rules = a_document(), journey_rules((0, 2), version=2)
    folded(document, rules, an_item(1))
    folded(document, rules, replay=[retracting(1, version=1)])
    assert counted(document) == [[1]]
    assert document["processing"]["replay"] == []


def test_of_one_waypoint_alone() -> None:
    document, rules = a_document(), journey_rules((0, 1), (0, 2))
    appended(document, [(FIRST, an_item(1))])
    folded(document, rules, an_item(1), waypoint=SECOND)
    folded(document, rules, replay=[retracting(1, waypoint=SECOND)])
    assert list(document["completions"][0]["waypoints"]) == [FIRST]


def test_sealed_attempts_stay() -> None:
    """An attempt completed under an older version keeps its dates whatever is retracted."""
    document = a_document()
    folded(document, journey_rules((0, 1), repeatable=True), an_item(1))
    before = document["completions"]
    rules = journey_rules((0, 2), repeatable=True, version=2)
    folded(document, rules, an_item(5), replay=[retracting(1, version=2)])
    assert document["completions"][:1] == before
    assert counted(document) == [[1], [5]]
    assert document["processing"]["sealed"] == 1
    folded(document, rules, replay=[retracting(5, version=2)])
    assert document["completions"] == before
    assert document["completedAt"] == at(1)


def test_an_open_attempt_is_evaluated_again_under_the_new_version() -> None:
    document = a_document()
    folded(document, journey_rules((0, 3)), an_item(1), an_item(2))
    assert not document["isCompleted"]
    promotion = folded(document, journey_rules((0, 2), version=2))
    assert document["completedAt"] == at(2)
    assert changes(promotion) == ["waypoint-completed", "completed"]


def test_while_the_journey_waits_what_was_asked_waits_too() -> None:
    document = a_document()
    folded(document, journey_rules((0, 2)), an_item(1))
    promotion = folded(document, journey_rules((0, 2), active=False), replay=[retracting(1)])
    assert promotion.replayed == ()
    assert document["processing"]["replay"] == [retracting(1)]
    folded(document, journey_rules((0, 2)))
    assert document["completions"] == []


def test_a_promoter_has_to_know_the_version_of_a_retraction() -> None:
    assert needed_version({"processing": {"version": 4, "folded": 2}}) == 4


def test_an_attempt_that_did_not_change_is_not_recalculated() -> None:
    rules = journey_rules((0, 1), repeatable=True)
    one = fold(rules, [{FIRST: [an_item(1)]}]).attempts
    two = fold(rules, [{FIRST: [an_item(1), an_item(2)]}]).attempts
    assert [it["type"] for it in changes_between(one, two, replay=True)] == [
        "started",
        "waypoint-completed",
        "completed",
    ]
    assert changes_between(two, two, replay=True) == []
    assert changes_between(two, one, replay=True) == [{"type": "reverted", "attempt": 1}]


def test_the_stages_follow_each_other() -> None:
    begun = ASKED.begun(3, 10)
    assert (begun.version, begun.total, begun.remaining) == (3, 10, 10)
    assert begun.advanced(4, "x").position == "x"
    appending = begun.advanced(4, None)
    assert (appending.stage, appending.position, appending.remaining) == (Stage.APPEND, None, 6)
    waking = appending.advanced(100, None)
    assert (waking.stage, waking.remaining) == (Stage.WAKE, 0)
    assert waking.ended().stage is None


def test_one_that_is_put_off_begins_from_nothing() -> None:
    again = ASKED.begun(3, 10).advanced(4, None).put_off(at(60))
    assert again == Recalculation(JOURNEY, "run", Stage.RETRACT, at(60), total=10, remaining=6)


def test_it_is_stuck_when_nothing_moves_for_too_long() -> None:
    waking = ASKED.pushed().waking(5, 5, at(0))
    assert not waking.waking(5, 0, at(60)).is_stuck(at(60), PATIENCE)
    assert waking.waking(5, 0, at(60)).is_stuck(at(61), PATIENCE)
    assert not waking.waking(4, 0, at(61)).is_stuck(at(61), PATIENCE)
    assert not waking.waking(5, 1, at(61)).is_stuck(at(61), PATIENCE)


def test_each_time_that_it_is_stuck_one_more_batch_is_let_in() -> None:
    waking = ASKED.pushed()
    assert waking.at_once(5) == 5
    pressing = waking.waking(5, 5, at(0)).pressing(at(61))
    assert pressing.at_once(5) == 10
    assert pressing.waking(10, 5, at(62)).pressing(at(130)).at_once(5) == 15
    assert not pressing.is_stuck(at(121), PATIENCE)


@pytest.mark.parametrize(
    ("stored", "in_progress", "pushing"),
    [
        (None, False, False),
        ({"lease": at(9)}, False, False),
        ({"stage": "append", "lease": at(9)}, True, True),
        ({"stage": "wake", "lease": at(9)}, True, False),
        ({"stage": "append", "lease": DatetimeMS(10**17)}, False, False),
        ({"stage": "append", "lease": at(5)}, False, False),
        ({"stage": "wake", "lease": at(9), "isCancelled": True}, False, False),
    ],
)
def test_in_progress_is_derived_from_a_live_lease(
    stored: dict[str, Any] | None, in_progress: bool, pushing: bool
) -> None:
    status = status_of(stored, at(5))
    assert (status["inProgress"], status["pushing"]) == (in_progress, pushing)
    assert len(status) == 10
