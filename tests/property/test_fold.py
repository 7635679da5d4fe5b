"""F1 and the fold's other laws, for any evidence (semantics.md, section 4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from processor.core.completions import attempt_to, summary
from processor.core.evidence import Item, Promotion
from processor.core.fold import fold
from processor.core.journey import JourneyRules
from processor.core.policy import FoldingPolicy
from processor.core.promotion import promote
from processor.testing.writes import apply_promotion
from tests.builders import JOURNEY, ORGANISATION, WAYPOINTS, a_reference, at, journey_rules

Evidence = Sequence[tuple[str, Item]]

POLICY = FoldingPolicy(surplus_limit=10_000, lateness_horizon=timedelta(days=3650))

journeys = st.builds(
    journey_rules,
    st.tuples(st.integers(0, 2), st.integers(1, 3)),
    st.tuples(st.integers(0, 2), st.integers(1, 2)),
    st.tuples(st.integers(0, 2), st.integers(1, 2)),
    sequential=st.booleans(),
    repeatable=st.booleans(),
)


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    """Items of three waypoints; a statement keeps its timestamp, and may count for several waypoints."""
    times = draw(st.lists(st.integers(0, 12), min_size=1, max_size=14))
    return [
        (waypoint, Item(a_reference(number), at(seconds)))
        for number, seconds in enumerate(times)
        for waypoint in draw(st.sets(st.sampled_from(WAYPOINTS[:3]), min_size=1))
    ]


@dataclass
class Deliveries:
    """The same evidence in some order, with repeats, cut into batches."""

    batches: list[list[tuple[str, Item]]]


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[Evidence, Deliveries]:
    evidence = draw(evidences())
    repeats = draw(st.lists(st.sampled_from(evidence), max_size=5))
    stream = draw(st.permutations([*evidence, *repeats]))
    cuts = sorted(draw(st.sets(st.integers(1, len(stream)), max_size=5)) | {0, len(stream)})
    return evidence, Deliveries([list(stream[a:b]) for a, b in pairwise(cuts)])


def by_waypoint(items: Evidence) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    for waypoint, item in items:
        found.setdefault(waypoint, []).append(item)
    return found


def a_document() -> dict[str, Any]:
    return {
        "_id": a_reference(1),
        "journey": JOURNEY,
        "organisation": ORGANISATION,
        "owner": {"trackBy": "actor", "ident": {}},
        "createdAt": at(0),
        "updatedAt": at(0),
        "isCompleted": False,
        "completions": [],
        "pendingProgress": {},
        "processing": {"revision": 0},
    }


def appended(document: dict[str, Any], items: Evidence) -> None:
    for waypoint, item in items:
        entry = document["pendingProgress"].setdefault(waypoint, {"statements": []})
        entry["statements"].append({"statement": item.statement, "timestamp": item.timestamp})


def promoted(document: dict[str, Any], rules: JourneyRules, policy: FoldingPolicy = POLICY) -> Promotion:
    promotion = promote(document, rules, policy, at(1_000))
    apply_promotion(document, promotion, at(1_000))
    return promotion


def public(document: Mapping[str, Any]) -> dict[str, Any]:
    names = ("completions", "startedAt", "isCompleted", "completedAt", "duration")
    return {name: document[name] for name in names if name in document}


def naive_fold(rules: JourneyRules, evidence: Evidence) -> list[tuple[dict[str, list[Item]], bool]]:
    """The pseudo code of semantics.md, section 4, word by word: [(counted items by waypoint, is it complete)]."""
    distinct = set(evidence)
    orders = {key: waypoint.order for key, waypoint in rules.waypoints.items()}
    items = sorted(distinct, key=lambda it: (it[1].timestamp, orders[it[0]], it[1].statement, it[0]))
    attempts: list[tuple[dict[str, list[Item]], bool]] = []
    last_statement = None

    def complete(counted: dict[str, list[Item]], key: str) -> bool:
        return len(counted.get(key, [])) == rules.waypoints[key].count

    for key, item in items:
        is_open = bool(attempts) and not attempts[-1][1]
        if not is_open and attempts and (not rules.is_repeatable or item.statement == last_statement):
            continue  # surplus
        counted = attempts[-1][0] if is_open else {}
        if complete(counted, key):
            continue  # surplus: full
        lower = [other for other in rules.waypoints if orders[other] < orders[key]]
        if rules.is_sequential and not all(complete(counted, other) for other in lower):
            continue  # surplus: too early
        if not is_open:
            attempts.append((counted, False))
        counted.setdefault(key, []).append(item)
        if all(complete(counted, other) for other in rules.waypoints):
            attempts[-1] = (counted, True)
            last_statement = item.statement
    return attempts


@given(journeys, evidences())
def test_the_fold_is_the_pseudo_code_of_the_page(rules: JourneyRules, evidence: Evidence) -> None:
    attempts = fold(rules, [by_waypoint(evidence)]).attempts
    assert [(attempt.counted, attempt.completed_at is not None) for attempt in attempts] == naive_fold(rules, evidence)


@given(journeys, deliveries())
def test_f1_any_order_duplication_and_split_gives_the_same(
    rules: JourneyRules, delivery: tuple[Evidence, Deliveries]
) -> None:
    evidence, stream = delivery
    document = a_document()
    for batch in stream.batches:
        appended(document, batch)
        promoted(document, rules)
    attempts = fold(rules, [by_waypoint(evidence)]).attempts
    assert public(document) == {"completions": list(map(attempt_to, attempts)), **summary(attempts, "microseconds")}
    assert all(not entry["statements"] for entry in document["pendingProgress"].values())


@given(journeys, deliveries())
def test_promoting_a_promoted_document_decides_nothing(
    rules: JourneyRules, delivery: tuple[Evidence, Deliveries]
) -> None:
    document = a_document()
    for batch in delivery[1].batches:
        appended(document, batch)
        promoted(document, rules)
    again = promote(document, rules, POLICY, at(2_000))
    assert (again.event, again.changed, again.removed, again.consumed, again.processing) == (None, {}, (), {}, {})


@given(journeys, deliveries())
def test_r2_revisions_grow_by_one_and_tell_each_change(
    rules: JourneyRules, delivery: tuple[Evidence, Deliveries]
) -> None:
    document = a_document()
    revision = 0
    for batch in delivery[1].batches:
        before = public(document)
        appended(document, batch)
        event = promoted(document, rules).event
        assert (event is not None) == (before != public(document))
        if event:
            revision += 1
            data = orjson.loads(event.data)
            assert event.revision == revision
            assert data["isCompleted"] == document["isCompleted"]
            assert len(data["completions"]) == len(document["completions"])
            assert data["changes"]


@given(journeys, deliveries())
def test_late_evidence_only_makes_dates_earlier(rules: JourneyRules, delivery: tuple[Evidence, Deliveries]) -> None:
    document = a_document()
    for batch in delivery[1].batches:
        before = public(document)
        appended(document, batch)
        promoted(document, rules)
        assert document.get("startedAt", at(10**6)) <= before.get("startedAt", at(10**6))
        assert document.get("completedAt", at(10**6)) <= before.get("completedAt", at(10**6))
        assert document["isCompleted"] >= before.get("isCompleted", False)


@given(journeys, deliveries(), st.integers(0, 2))
def test_surplus_is_cut_at_the_earliest_and_marked(
    rules: JourneyRules, delivery: tuple[Evidence, Deliveries], limit: int
) -> None:
    document = a_document()
    cut = 0
    for batch in delivery[1].batches:
        appended(document, batch)
        promotion = promoted(document, rules, FoldingPolicy(surplus_limit=limit))
        cut += promotion.dropped.get("surplus-cut", 0)
        assert all(len(items) <= limit for items in document["processing"].get("surplus", {}).values())
    assert document["processing"].get("cut", 0) == cut


@given(journeys, evidences(), evidences())
def test_attempts_completed_under_an_older_version_are_sealed(
    rules: JourneyRules, first: Evidence, second: Evidence
) -> None:
    document = a_document()
    appended(document, first)
    promoted(document, rules)
    sealed = [attempt for attempt in document["completions"] if attempt["isCompleted"]]
    newer = journey_rules((0, 1), (0, 1), (0, 1), repeatable=True, version=2)
    appended(document, second)
    promoted(document, newer)
    assert document["completions"][: len(sealed)] == sealed
