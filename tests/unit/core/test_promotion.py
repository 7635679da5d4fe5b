"""A claimed document to what one update writes (semantics.md, sections 4 to 7)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from processor.core.policy import FoldingPolicy
from processor.core.promotion import needed_version, promote
from tests.builders import JOURNEY, a_reference, an_item, at, journey_rules
from tests.unit.core.folding import A, B, C, items
from tests.unit.core.promoting import NOW, POLICY, Progress, changes, event_of

DAY = 86_400


def test_trap_1_a_promotion_consumes_exactly_what_it_read() -> None:
    progress = Progress()
    progress.append(a=[1, 2], b=[3])
    promotion = promote(progress.document, journey_rules((0, 2), (0, 1)), POLICY, NOW)
    assert promotion.consumed == {key: tuple(found) for key, found in items(a=[1, 2], b=[3]).items()}
    assert promotion.progress == progress.document["_id"]


def test_what_is_surplus_or_dropped_is_consumed_too() -> None:
    progress = Progress()
    promotion = progress.promote(journey_rules((1, 1), (0, 1), sequential=True), a=[1], c=[2])
    assert promotion.consumed == {key: tuple(found) for key, found in items(a=[1], c=[2]).items()}
    assert promotion.dropped == {"unknown-waypoint": 1}
    assert progress.processing["surplus"] == {A: [{"statement": a_reference(1), "timestamp": at(1)}]}


@pytest.mark.parametrize("newest", [None, 0, False, ""])
def test_a_newest_that_somebody_has_emptied_is_written_anew(newest: object) -> None:
    assert Progress(newest=newest).promote(journey_rules((0, 2)), a=[1, 3]).processing["newest"] == at(3)


def test_an_item_without_a_statement_opens_no_attempt_and_counts_nowhere() -> None:
    """Edited by hand: readers of the completions could not read it."""
    progress = Progress()
    progress.document["pendingProgress"][A] = {"statements": [{"statement": None, "timestamp": at(5)}]}
    assert progress.promote(journey_rules((0, 2)), a=[7]).dropped == {}
    assert progress.processing["surplus"] == {A: [{"statement": None, "timestamp": at(5)}]}


def test_nothing_of_the_claimed_document_is_changed() -> None:
    progress = Progress()
    progress.promote(journey_rules((0, 2), repeatable=True), a=[1])
    progress.append(a=[2, 3])
    before = repr(progress.document)
    promote(progress.document, journey_rules((0, 2), repeatable=True), POLICY, NOW)
    assert repr(progress.document) == before


def test_the_public_fields() -> None:
    progress = Progress()
    promotion = progress.promote(journey_rules((0, 2)), a=[1, 3])
    public = {"completions", "startedAt", "isCompleted", "completedAt", "duration"}
    assert set(promotion.changed) == {*public, "updatedAt"}
    assert (promotion.changed["startedAt"], promotion.changed["completedAt"]) == (at(1), at(3))
    assert promotion.changed["isCompleted"] is True
    [attempt] = promotion.changed["completions"]
    assert attempt["waypoints"][A] == {
        "waypoint": a_reference(1),
        "order": 0,
        "statements": [
            {"statement": a_reference(1), "timestamp": at(1)},
            {"statement": a_reference(3), "timestamp": at(3)},
        ],
        "isCompleted": True,
        "completedAt": at(3),
    }


def test_an_open_attempt_has_no_completed_at() -> None:
    progress = Progress()
    promotion = progress.promote(journey_rules((0, 2)), a=[1])
    [attempt] = promotion.changed["completions"]
    assert attempt["isCompleted"] is attempt["waypoints"][A]["isCompleted"] is False
    assert "completedAt" not in attempt
    assert "completedAt" not in attempt["waypoints"][A]
    assert set(promotion.changed) == {"completions", "startedAt", "updatedAt"}  # isCompleted was false before


@pytest.mark.parametrize(("unit", "duration"), [("microseconds", 2_000_000), ("milliseconds", 2_000)])
def test_the_duration_is_in_the_unit_of_the_setting(unit: Any, duration: int) -> None:
    progress = Progress(FoldingPolicy(duration_unit=unit))
    assert progress.promote(journey_rules((0, 2)), a=[1, 3]).changed["duration"] == duration


def test_top_level_dates_are_those_of_the_first_completed_attempt() -> None:
    progress = Progress()
    progress.promote(journey_rules((0, 1), repeatable=True), a=[5, 9])
    assert (progress.document["startedAt"], progress.document["completedAt"]) == (at(5), at(5))
    progress.promote(journey_rules((0, 1), repeatable=True), a=[2])
    assert (progress.document["startedAt"], progress.document["completedAt"]) == (at(2), at(2))
    assert progress.completed == [True, True, True]


@pytest.mark.parametrize("rules", [None, journey_rules((0, 1), active=False), journey_rules()])
def test_without_a_running_journey_the_document_keeps_its_evidence_and_waits(rules: Any) -> None:
    progress = Progress()
    promotion = progress.promote(rules, a=[1])
    assert (promotion.consumed, promotion.changed, promotion.event) == ({}, {}, None)
    assert promotion.processing == {"waiting": True}
    assert progress.document["pendingProgress"][A]["statements"]

    later = progress.promote(journey_rules((0, 1)))
    assert later.changed["isCompleted"] is True
    assert "waiting" not in progress.processing


def test_a_document_that_waits_already_is_not_written_again() -> None:
    progress = Progress()
    progress.promote(None, a=[1])
    assert progress.promote(None).processing == {}


def test_a_promotion_that_changes_nothing_public_makes_no_event() -> None:
    progress = Progress()
    rules = journey_rules((0, 1), (1, 1), sequential=True)
    assert progress.promote(rules, b=[5]).event is None  # early: surplus
    assert progress.promote(rules, a=[1]).event is not None
    again = progress.promote(rules, a=[1])
    assert (again.event, again.changed, again.removed) == (None, {}, ())
    assert again.consumed == {A: (an_item(1),)}


def test_r2_the_event_carries_the_next_revision_and_the_public_document() -> None:
    progress = Progress(revision=7)
    promotion = progress.promote(journey_rules((0, 1)), a=[1])
    assert promotion.event is not None
    assert (promotion.event.progress, promotion.event.revision) == (progress.document["_id"], 8)
    assert (promotion.event.time, promotion.event.replay) == (NOW, False)
    data = event_of(promotion)
    assert (data["_id"], data["journey"]) == (str(progress.document["_id"]), str(JOURNEY))
    assert (data["isCompleted"], data["completedAt"]) == (True, "2026-01-01T10:00:01.000Z")
    assert data["updatedAt"] == "2026-01-12T23:46:40.000Z"
    assert data["completions"][0]["waypoints"][A]["statements"][0]["statement"] == str(a_reference(1))
    assert not {"pendingProgress", "processing", "lockKey"} & set(data)


def test_an_attempt_of_an_older_version_is_sealed_and_its_journeys_new_rules_hold_for_the_next() -> None:
    progress = Progress()
    progress.promote(journey_rules((0, 1), repeatable=True), a=[5])
    newer = journey_rules((0, 2), repeatable=True, version=2)
    promotion = progress.promote(newer, a=[3, 8])
    assert (progress.processing["sealed"], progress.processing["folded"]) == (1, 2)
    assert promotion.dropped == {"sealed": 1}
    assert progress.completed == [True, False]
    assert progress.document["completedAt"] == at(5)


def test_an_open_attempt_is_folded_anew_under_a_newer_version() -> None:
    progress = Progress()
    progress.promote(journey_rules((0, 2)), a=[1])
    assert progress.promote(journey_rules((0, 1), version=2)).changed["isCompleted"] is True
    assert progress.processing["sealed"] == 0


def test_an_attempt_beyond_the_horizon_of_the_newest_evidence_is_sealed() -> None:
    progress = Progress(FoldingPolicy(lateness_horizon=timedelta(days=30)))
    rules = journey_rules((0, 1), repeatable=True)
    progress.promote(rules, a=[100])
    assert progress.promote(rules, a=[50]).dropped == {}  # late, within the horizon
    assert progress.processing["sealed"] == 0
    assert progress.promote(rules, a=[100 + 30 * DAY]).dropped == {}
    late = progress.promote(rules, a=[40, 60])
    assert progress.processing["sealed"] == 1  # that at 50; that at 100 is exactly 30 days before
    assert late.dropped == {"sealed": 1}
    assert progress.document["completedAt"] == at(50)
    assert progress.completed == [True] * 4


@pytest.mark.parametrize("parts", [[[10 * DAY], [9 * DAY], [45 * DAY]], [[10 * DAY], [9 * DAY, 45 * DAY]]])
def test_f1_what_comes_together_is_no_later_for_each_other(parts: list[list[int]]) -> None:
    """A day late, however long after that the next came which is promoted with it."""
    progress = Progress(FoldingPolicy(lateness_horizon=timedelta(days=30)))
    rules = journey_rules((0, 1), repeatable=True)
    for part in parts:
        assert progress.promote(rules, a=part).dropped == {}
    assert progress.document["completedAt"] == at(9 * DAY)
    assert progress.completed == [True] * 3


def test_late_evidence_moves_the_newest_not_back() -> None:
    """Else what is sealed would depend on what came last."""
    progress = Progress(FoldingPolicy(lateness_horizon=timedelta(seconds=30)))
    rules = journey_rules((0, 1), repeatable=True)
    for seconds, newest in ((100, 100), (75, 100), (110, 110)):
        assert progress.promote(rules, a=[seconds]).dropped == {}
        assert progress.processing["newest"] == at(newest)
    assert progress.promote(rules, a=[74]).dropped == {"sealed": 1}
    assert progress.processing["newest"] == at(110)


def test_an_event_tells_the_last_changes() -> None:
    progress = Progress(FoldingPolicy(changes=2))
    promotion = progress.promote(journey_rules((0, 1), repeatable=True), a=[1, 2, 3])
    assert [attempt for _, attempt, _ in changes(promotion)] == [2, 2]


def test_surplus_beyond_the_limit_is_cut_from_the_latest_and_marked() -> None:
    progress = Progress(FoldingPolicy(surplus_limit=2))
    rules = journey_rules((0, 1), (1, 1), sequential=True)
    assert progress.promote(rules, b=[4, 2, 3]).dropped == {"surplus-cut": 1}
    assert [it["timestamp"] for it in progress.processing["surplus"][B]] == [at(2), at(3)]
    assert progress.processing["cut"] == 1
    assert progress.promote(rules, b=[1]).dropped == {"surplus-cut": 1}
    assert progress.processing["cut"] == 2


def test_an_inactive_waypoint_keeps_all_of_its_evidence_beyond_the_limit() -> None:
    progress = Progress(FoldingPolicy(surplus_limit=1))
    rules = journey_rules((0, 1), (0, 1), repeatable=True)
    asleep = replace(rules, waypoints={**rules.waypoints, A: replace(rules.waypoints[A], is_active=False)})
    assert progress.promote(asleep, a=[1, 2, 3]).dropped == {}
    assert [it["timestamp"] for it in progress.processing["surplus"][A]] == [at(1), at(2), at(3)]


def test_evidence_of_a_waypoint_that_is_gone_is_dropped() -> None:
    progress = Progress()
    progress.promote(journey_rules((0, 1), (0, 2), (0, 1)), a=[1], b=[2], c=[3])
    promotion = progress.promote(journey_rules((0, 1), (0, 2), version=2))
    assert promotion.dropped == {"unknown-waypoint": 1}
    assert C not in progress.document["completions"][0]["waypoints"]


def test_fields_that_no_longer_hold_are_removed() -> None:
    """A document edited by hand, or an attempt that a newer version takes back."""
    progress = Progress()
    progress.promote(journey_rules((0, 2)), a=[1])
    progress.document |= {"completedAt": at(1), "duration": 5}
    promotion = progress.promote(journey_rules((0, 2), version=2))
    assert set(promotion.removed) == {"completedAt", "duration"}
    assert promotion.event is not None


def test_trap_7_the_version_a_promoter_must_know_is_the_newest_that_anyone_used() -> None:
    assert needed_version({"processing": {}}) == 0
    assert needed_version({"processing": {"version": 3, "folded": 2}}) == 3
    assert needed_version({"processing": {"version": 2, "folded": 3}}) == 3
