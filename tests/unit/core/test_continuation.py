"""The next promotion in passing: of documents at rest, and of no others."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId

from processor.core.beginning import begin
from processor.core.continuation import Continuation, go_on
from processor.core.evidence import Append
from processor.core.journey import JourneyRules
from processor.core.policy import FoldingPolicy
from tests.builders import WAYPOINTS, an_append, an_item, at, journey_rules

RULES = journey_rules((0, 3), (1, 1))


def a_document(rules: JourneyRules = RULES, **processing: Any) -> dict[str, Any]:
    """A document that was promoted, and whose event is published."""
    begun = begin(an_append(an_item(1)), rules, FoldingPolicy(), "lock", at(1))
    assert begun
    return {**begun.document, "processing": {**begun.document["processing"], **processing}}


def continued(
    document: Mapping[str, Any],
    append: Append | None = None,
    rules: JourneyRules | None = RULES,
    policy: FoldingPolicy | None = None,
) -> Continuation | None:
    return go_on(append or an_append(an_item(2)), rules, document, policy or FoldingPolicy(), "next", at(3))


def test_a_document_at_rest_goes_on() -> None:
    found = continued(a_document())
    assert found
    assert found.lock_key == "lock"
    assert found.ident == a_document()["owner"]["ident"]
    assert found.is_idle
    assert found.promotion.event
    assert found.promotion.event.revision == 2
    [attempt] = found.promotion.changed["completions"]
    assert len(attempt["waypoints"][WAYPOINTS[0]]["statements"]) == 2


def test_an_outbox_that_somebody_has_to_do_with_is_not_idle() -> None:
    found = continued(a_document(publish=at(2)))
    assert found
    assert not found.is_idle


@pytest.mark.parametrize(
    "processing",
    [
        {"due": at(1)},
        {"lease": at(1)},
        {"waiting": True},
        {"replay": [{"key": "chunk", "version": 1}]},
        {"spilled": [{"segment": ObjectId(), "attempts": 1, "last": {}}]},
        {"version": 2},
        {"folded": 2},
        {"outbox": [{"revision": 1, "data": b" " * 4_194_305}]},
        {"outbox": {}},
    ],
    ids=lambda processing: f"{next(iter(processing))}",
)
def test_what_is_not_at_rest_or_known_better_by_a_promoter_does_not(processing: dict[str, Any]) -> None:
    assert continued(a_document(**processing)) is None


def test_who_has_evidence_pending_does_not() -> None:
    document = a_document()
    waiting = [{"statement": an_item(9).statement, "timestamp": an_item(9).timestamp}]
    assert continued({**document, "pendingProgress": {WAYPOINTS[1]: {"statements": waiting}}}) is None


def test_who_was_never_promoted_does_not() -> None:
    document = a_document()
    assert continued({key: value for key, value in document.items() if key != "lockKey"}) is None
    assert continued({**document, "lockKey": None}) is None


def test_other_rules_than_those_of_the_match_do_not() -> None:
    assert continued(a_document(), rules=None) is None
    assert continued(a_document(), rules=journey_rules((0, 3), version=2)) is None
    assert continued(a_document(), rules=journey_rules((0, 3), active=False)) is None
    assert continued(a_document(), an_append(an_item(2), version=2)) is None


def test_what_would_change_nothing_is_appended_as_what_was_read_need_not_be_durable() -> None:
    assert continued(a_document(), an_append(an_item(1))) is None


def test_evidence_that_is_surplus_is_kept() -> None:
    found = continued(a_document(journey_rules((0, 1), (1, 1))), rules=journey_rules((0, 1), (1, 1)))
    assert found
    assert found.promotion.event is None
    assert found.promotion.processing["surplus"]


def test_more_than_one_promotion_takes_does_not() -> None:
    append = an_append(an_item(2), an_item(3))
    assert continued(a_document(), append, policy=FoldingPolicy(pending_limit=1)) is None


def test_attempts_that_would_leave_do_not() -> None:
    rules = journey_rules((0, 1), repeatable=True)
    document = a_document(rules)
    assert continued(document, rules=rules)
    assert continued(document, rules=rules, policy=FoldingPolicy(document_bytes=1)) is None


def test_what_is_finished_is_told() -> None:
    rules = journey_rules((0, 2))
    found = continued(a_document(rules), rules=rules)
    assert found
    assert found.promotion.finished
    assert found.promotion.changed["duration"] == timedelta(seconds=1) // timedelta(microseconds=1)


def test_a_document_that_was_edited_by_hand_breaks() -> None:
    with pytest.raises(KeyError):
        continued({**a_document(), "owner": {}})
