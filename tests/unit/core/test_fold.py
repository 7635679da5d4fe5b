"""The fold, rule by rule (semantics.md, section 4); its laws for any evidence stand in tests/property/test_fold.py."""

from collections.abc import Mapping
from dataclasses import replace

from msgspec import structs

from processor.core.fold import Attempt, fold
from processor.core.journey import JourneyRules
from tests.builders import a_reference, an_item, at, journey_rules
from tests.unit.core.folding import A, B, C, counted, folded, items, surplus


def test_nothing_is_no_attempt() -> None:
    found = fold(journey_rules((0, 1)), [])
    assert (found.attempts, found.surplus, found.dropped) == ([], {}, {})


def test_a_first_item_opens_an_attempt() -> None:
    [attempt] = folded(journey_rules((0, 2)), a=[1]).attempts
    assert counted(attempt) == {"a": [1]}
    assert (attempt.waypoints_completed, attempt.completed_at) == ({}, None)


def test_at_count_items_the_waypoint_is_complete_and_with_it_the_attempt() -> None:
    [attempt] = folded(journey_rules((0, 2), (0, 1)), a=[1, 3], b=[2]).attempts
    assert attempt.waypoints_completed == {A: at(3), B: at(2)}
    assert attempt.completed_at == at(3)


def test_an_attempt_needs_every_active_waypoint() -> None:
    [attempt] = folded(journey_rules((0, 1), (0, 1)), a=[1]).attempts
    assert attempt.waypoints_completed == {A: at(1)}
    assert attempt.completed_at is None


def test_a_full_waypoint_takes_no_more() -> None:
    found = folded(journey_rules((0, 1), (0, 1)), a=[1, 2, 3])
    assert counted(found.attempts[0]) == {"a": [1]}
    assert surplus(found) == {"a": [2, 3]}


def test_the_earliest_count_whatever_order_they_came_in() -> None:
    found = folded(journey_rules((0, 2), (0, 1)), a=[4, 1, 3])
    assert counted(found.attempts[0]) == {"a": [1, 3]}
    assert surplus(found) == {"a": [4]}


def test_of_two_copies_with_different_timestamps_the_earlier_counts() -> None:
    evidence = [{A: [an_item(1, 9)]}, {A: [an_item(1, 5)]}, {A: [an_item(1, 7)]}]
    [attempt] = fold(journey_rules((0, 2)), evidence).attempts
    assert attempt.counted == {A: [an_item(1, 5)]}


def test_a_statement_counts_once_for_a_waypoint_but_for_several_waypoints() -> None:
    [attempt] = folded(journey_rules((0, 2), (0, 2)), a=[1, 1], b=[1]).attempts
    assert counted(attempt) == {"a": [1], "b": [1]}


def test_sequential_evidence_before_the_lower_waypoint_is_complete_is_surplus() -> None:
    found = folded(journey_rules((0, 2), (1, 1), sequential=True), a=[1, 4], b=[2, 5])
    assert counted(found.attempts[0]) == {"a": [1, 4], "b": [5]}
    assert surplus(found) == {"b": [2]}


def test_without_a_sequence_waypoints_are_met_in_any_order() -> None:
    [attempt] = folded(journey_rules((0, 1), (1, 1)), a=[2], b=[1]).attempts
    assert (counted(attempt), attempt.completed_at) == ({"a": [2], "b": [1]}, at(2))


def test_sequential_waypoints_of_equal_order_are_met_in_any_order() -> None:
    [attempt] = folded(journey_rules((0, 1), (0, 1), (1, 1), sequential=True), a=[2], b=[1], c=[3]).attempts
    assert counted(attempt) == {"a": [2], "b": [1], "c": [3]}
    assert attempt.completed_at == at(3)


def test_sequential_a_statement_may_complete_a_waypoint_and_count_for_the_next() -> None:
    [attempt] = folded(journey_rules((0, 1), (1, 1), sequential=True), a=[1], b=[1]).attempts
    assert attempt.completed_at == at(1)


def test_an_item_that_would_be_surplus_opens_no_attempt() -> None:
    found = folded(journey_rules((0, 1), (1, 1), sequential=True), b=[1, 2])
    assert found.attempts == []
    assert surplus(found) == {"b": [1, 2]}


def test_evidence_that_was_early_counts_once_an_earlier_statement_comes_late() -> None:
    rules = journey_rules((0, 1), (1, 1), sequential=True)
    before = folded(rules, b=[2])
    after = fold(rules, [before.surplus, items(a=[1])])
    assert counted(after.attempts[0]) == {"a": [1], "b": [2]}
    assert after.surplus == {}


def test_at_one_instant_the_waypoint_order_decides_then_the_statement_then_the_waypoint() -> None:
    rules = journey_rules((1, 1), (0, 1), sequential=True)
    [attempt] = fold(rules, [{A: [an_item(1, 5)], B: [an_item(2, 5)]}]).attempts
    assert attempt.completed_at == at(5)  # B, of lower order, came first

    limited = journey_rules((0, 1), (0, 1))
    [attempt] = fold(limited, [{A: [an_item(9, 5), an_item(3, 5)]}]).attempts
    assert attempt.counted == {A: [an_item(3, 5)]}


def test_not_repeatable_what_comes_after_the_completion_can_change_nothing() -> None:
    found = folded(journey_rules((0, 1)), a=[1, 2, 3])
    assert counted(found.attempts[0]) == {"a": [1]}
    assert (found.surplus, found.dropped) == ({}, {"after-completion": 2})


def test_not_repeatable_what_is_before_the_completion_is_kept() -> None:
    found = folded(journey_rules((0, 1), (0, 1)), a=[1, 2], b=[3, 4])
    assert surplus(found) == {"a": [2]}
    assert found.dropped == {"after-completion": 1}


def test_repeatable_the_next_item_opens_the_next_attempt() -> None:
    found = folded(journey_rules((0, 1), (0, 1), repeatable=True), a=[1, 3, 5], b=[2, 4])
    assert [counted(attempt) for attempt in found.attempts] == [{"a": [1], "b": [2]}, {"a": [3], "b": [4]}, {"a": [5]}]
    assert [attempt.completed_at for attempt in found.attempts] == [at(2), at(4), None]


def test_repeatable_the_statement_that_completed_an_attempt_does_not_start_the_next() -> None:
    """B's item of statement 2 comes after A's of the same statement has completed the attempt."""
    rules = journey_rules((0, 1), (0, 1), repeatable=True)
    found = folded(rules, a=[2], b=[1, 2])
    assert [counted(attempt) for attempt in found.attempts] == [{"a": [2], "b": [1]}]
    assert surplus(found) == {"b": [2]}
    again = folded(rules, a=[2], b=[1, 2, 3])
    assert counted(again.attempts[1]) == {"b": [3]}


def test_repeatable_evidence_older_than_a_finished_attempt_never_starts_the_next_one() -> None:
    found = folded(journey_rules((0, 1), (0, 1), repeatable=True), a=[1, 2], b=[3])
    assert len(found.attempts) == 1
    assert surplus(found) == {"a": [2]}


def test_evidence_of_an_inactive_waypoint_is_kept_and_hinders_nobody() -> None:
    rules = an_inactive_first(journey_rules((0, 1), (1, 1), sequential=True))
    found = folded(rules, a=[1], b=[2])
    assert counted(found.attempts[0]) == {"b": [2]}
    assert found.attempts[0].completed_at == at(2)
    assert surplus(found) == {"a": [1]}


def an_inactive_first(rules: JourneyRules) -> JourneyRules:
    return replace(rules, waypoints={**rules.waypoints, A: replace(rules.waypoints[A], is_active=False)})


def test_evidence_of_an_unknown_waypoint_is_dropped() -> None:
    found = folded(journey_rules((0, 1)), a=[1], c=[1, 2])
    assert found.dropped == {"unknown-waypoint": 2}
    assert surplus(found) == {}


def a_sealed(*attempts: Mapping[str, list[int]]) -> list[Attempt]:
    [*found] = folded(journey_rules((0, 1), (0, 1), repeatable=True), **_merged(attempts)).attempts
    return found


def _merged(attempts: tuple[Mapping[str, list[int]], ...]) -> dict[str, list[int]]:
    return {name: [number for it in attempts for number in it.get(name, ())] for name in "ab"}


def test_a_sealed_attempt_is_never_changed_and_what_is_not_later_is_dropped() -> None:
    sealed = a_sealed({"a": [4], "b": [6]})
    found = fold(journey_rules((0, 1), (0, 1), repeatable=True), [items(a=[3, 5, 7])], sealed)
    assert found.attempts[0] is sealed[0]
    assert counted(found.attempts[1]) == {"a": [7]}
    assert found.dropped == {"sealed": 2}


def test_evidence_that_a_sealed_attempt_counted_is_passed_over() -> None:
    sealed = a_sealed({"a": [1], "b": [2]})
    found = fold(journey_rules((0, 1), (0, 1), repeatable=True), [items(a=[1], b=[2])], sealed)
    assert (found.attempts, found.surplus, found.dropped) == (sealed, {}, {})


def test_i2_so_is_a_copy_of_it_that_tells_a_later_time() -> None:
    sealed = a_sealed({"a": [1]}, {"a": [2]})
    copy = structs.replace(an_item(1), timestamp=at(5))
    found = fold(journey_rules((0, 1), repeatable=True), [{A: [copy]}], sealed)
    assert (found.attempts, found.surplus, found.dropped) == (sealed, {}, {})


def test_the_statement_that_completed_a_sealed_attempt_does_not_start_the_next() -> None:
    sealed = a_sealed({"a": [1], "b": [2]})
    found = fold(journey_rules((0, 1), (0, 1), (9, 1), repeatable=True), [{C: [an_item(2)]}], sealed)
    assert found.attempts == sealed
    assert found.surplus == {C: [an_item(2)]}


def test_a_sealed_attempt_of_a_journey_that_is_not_repeatable_is_the_only_one() -> None:
    sealed = a_sealed({"a": [1], "b": [2]})
    found = fold(journey_rules((0, 1), (0, 1)), [items(a=[5])], sealed)
    assert (found.attempts, found.dropped) == (sealed, {"after-completion": 1})


def test_the_last_counted_item_is_the_one_that_completed() -> None:
    [attempt] = folded(journey_rules((0, 2), (0, 1)), a=[1, 3], b=[2]).attempts
    assert (attempt.last.timestamp, attempt.last.statement, attempt.last.waypoint) == (at(3), a_reference(3), A)
