"""What an event says has changed (semantics.md, section 7)."""

from processor.core.changes import changes_between
from processor.core.fold import Attempt
from tests.builders import an_item, at, journey_rules
from tests.unit.core.folding import A
from tests.unit.core.promoting import Progress, changes

ONE, TWO = journey_rules((0, 1)), journey_rules((0, 2), (0, 1))
REPEATABLE = journey_rules((0, 1), repeatable=True)


def test_a_first_statement_starts_the_attempt_and_progresses() -> None:
    assert changes(Progress().promote(TWO, a=[1])) == [("started", 0, None), ("progressed", 0, "1")]


def test_a_completed_waypoint_and_a_completed_attempt() -> None:
    progress = Progress()
    assert changes(progress.promote(TWO, a=[1, 2])) == [("started", 0, None), ("waypoint-completed", 0, "1")]
    assert changes(progress.promote(TWO, b=[3])) == [("waypoint-completed", 0, "2"), ("completed", 0, None)]


def test_all_at_once_is_told_in_order() -> None:
    assert changes(Progress().promote(REPEATABLE, a=[1, 2])) == [
        ("started", 0, None),
        ("waypoint-completed", 0, "1"),
        ("completed", 0, None),
        ("started", 1, None),
        ("waypoint-completed", 1, "1"),
        ("completed", 1, None),
    ]


def test_late_evidence_that_moves_a_date_is_progress() -> None:
    progress = Progress()
    progress.promote(ONE, a=[5])
    assert changes(progress.promote(ONE, a=[2])) == [("progressed", 0, "1")]


def test_a_newer_version_takes_a_completion_of_a_waypoint_back() -> None:
    progress = Progress()
    progress.promote(journey_rules((0, 1), (0, 1)), a=[1])
    assert changes(progress.promote(journey_rules((0, 2), (0, 1), version=2))) == [("reverted", 0, "1")]


def test_a_waypoint_that_is_gone_is_reverted() -> None:
    progress = Progress()
    progress.promote(journey_rules((0, 2), (0, 1)), a=[1], b=[2])
    assert changes(progress.promote(journey_rules((0, 2), version=2))) == [("reverted", 0, "2")]


def test_an_attempt_that_is_gone_is_reverted() -> None:
    progress = Progress()
    progress.promote(journey_rules((0, 1), (0, 1)), a=[1])
    sequential = journey_rules((1, 1), (0, 1), sequential=True, version=2)
    assert changes(progress.promote(sequential)) == [("reverted", 0, None)]
    assert progress.document["completions"] == []
    assert "startedAt" not in progress.document


def test_an_attempt_that_lost_its_completion_is_reverted() -> None:
    """As when one of its statements is voided."""
    complete = Attempt({A: [an_item(1), an_item(2)]}, {A: 0}, {A: at(2)}, at(2))
    open_again = Attempt({A: [an_item(1)]}, {A: 0})
    assert changes_between([complete], [open_again]) == [
        {"type": "reverted", "attempt": 0, "waypoint": A},
        {"type": "reverted", "attempt": 0},
    ]


def test_nothing_changed() -> None:
    attempt = Attempt({A: [an_item(1)]}, {A: 0})
    assert changes_between([attempt], [Attempt({A: [an_item(1)]}, {A: 0})]) == []
    assert changes_between([], []) == []
