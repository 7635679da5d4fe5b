"""F1 for bounded documents: whatever leaves them and comes back, they are what they would be if nothing ever had."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import bson
import orjson
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from processor.core.evidence import Item, Promotion
from processor.core.journey import JourneyRules
from processor.core.policy import FoldingPolicy
from processor.core.promotion import promote
from processor.core.spilling import is_late, segments_of, segments_to_look_at, size_of, whole
from processor.testing.writes import apply_promotion
from tests.builders import at, journey_rules
from tests.property.test_fold import Deliveries, a_document, appended, deliveries, journeys, public

LIMITS = st.sampled_from((0, 300, 500, 900, 2_000))
often_completed = st.builds(
    journey_rules,
    st.tuples(st.integers(0, 1), st.just(1)),
    st.tuples(st.integers(0, 1), st.integers(1, 2)),
    sequential=st.booleans(),
    repeatable=st.just(value=True),
)
"""Journeys that short evidence completes several times; its third waypoint they do not know."""
HORIZONS = st.sampled_from((timedelta(seconds=4), timedelta(days=3650)))


class Bounded:
    """A document and its segments, promoted as a promoter does it; the limit is the policy's."""

    def __init__(self, policy: FoldingPolicy) -> None:
        self.policy = policy
        self.document = a_document()
        self.segments: dict[ObjectId, Sequence[Mapping[str, Any]]] = {}
        self.recalls = 0
        self._keys = count()

    @property
    def whole(self) -> Mapping[str, Any]:
        return whole(self.document, self.segments)

    def promote(self, rules: JourneyRules, items: Sequence[tuple[str, Item]], replay: Any = None) -> Promotion:
        self.document["lockKey"] = str(next(self._keys))
        appended(self.document, items)
        if replay:
            self.document["processing"]["replay"] = [replay]
        looked = {key: self.segments[key] for key in segments_to_look_at(self.document, rules)}
        claimed = self.document
        if is_late(self.document, rules, looked):
            self.recalls += 1
            claimed = whole(self.document, self.segments)
        promotion = promote(claimed, rules, self.policy, at(1_000))
        for segment in promotion.segments:
            assert segment.id not in self.segments
            self.segments[segment.id] = segment.attempts
        apply_promotion(self.document, promotion, at(1_000))
        return promotion


def told(promotion: Promotion) -> Any:
    return promotion.event and orjson.loads(promotion.event.data)["changes"]


@given(often_completed | journeys, deliveries(), LIMITS, HORIZONS, st.integers(0, 5))
def test_f1_what_has_left_a_document_is_still_part_of_it(
    rules: JourneyRules,
    delivered: tuple[object, Deliveries],
    limit: int,
    horizon: timedelta,
    edited: int,
) -> None:
    policy = FoldingPolicy(surplus_limit=10_000, lateness_horizon=horizon)
    small, large = Bounded(replace(policy, document_bytes=limit)), Bounded(replace(policy, document_bytes=10**9))
    for number, batch in enumerate(delivered[1].batches):
        current = replace(rules, version=2) if number >= edited else rules
        ours, theirs = small.promote(current, batch), large.promote(current, batch)
        assert public(small.whole) == public(large.document)
        assert told(ours) == told(theirs)
        assert (ours.event is None) == (theirs.event is None)
        if ours.event:
            data = orjson.loads(ours.event.data)
            before = data.get("completionsBefore", 0)
            assert before + len(data["completions"]) == len(large.document["completions"])
    assert not large.segments
    assert small.document["processing"].get("sealed", 0) <= large.document["processing"].get("sealed", 0)


@given(deliveries(), LIMITS, st.data())
def test_f1_what_is_taken_back_is_taken_from_what_has_left_too(
    delivered: tuple[Sequence[tuple[str, Item]], Deliveries], limit: int, data: st.DataObject
) -> None:
    rules = journey_rules((0, 1), (1, 1), (1, 1), repeatable=True)
    evidence, stream = delivered
    policy = FoldingPolicy(surplus_limit=10_000, lateness_horizon=timedelta(days=3650))
    small, large = Bounded(replace(policy, document_bytes=limit)), Bounded(replace(policy, document_bytes=10**9))
    for batch in stream.batches:
        small.promote(rules, batch)
        large.promote(rules, batch)
    waypoint, item = data.draw(st.sampled_from(evidence))
    entry = {"key": "chunk", "version": rules.version, "retract": {waypoint: [item.statement]}}
    ours, theirs = small.promote(rules, [], entry), large.promote(rules, [], entry)
    assert public(small.whole) == public(large.document)
    assert told(ours) == told(theirs)


def test_a_document_stays_small_and_only_late_evidence_brings_attempts_back() -> None:
    rules = journey_rules((0, 1), repeatable=True)
    waypoint = next(iter(rules.waypoints))
    limit = 2_000
    progress = Bounded(FoldingPolicy(document_bytes=limit))
    items = [(waypoint, Item(ObjectId(number.to_bytes(12)), at(number))) for number in range(300)]
    for item in items:
        progress.promote(rules, [item])
        assert len(bson.encode({"": progress.document["completions"]})) <= limit
    assert len(progress.whole["completions"]) == 300
    for item in items[::7]:
        assert progress.promote(rules, [item]).event is None  # delivered again
    assert progress.recalls == 0
    late = (waypoint, Item(ObjectId(b"late evidence"[:12]), at(100.5)))
    changes = told(progress.promote(rules, [late]))
    assert (progress.recalls, len(progress.whole["completions"])) == (1, 301)
    assert changes[0] == {"type": "progressed", "attempt": 101, "waypoint": waypoint}


def test_i2_what_has_left_is_known_again_though_its_waypoint_has_another_order_now() -> None:
    """In the total order of today it comes after the last of its millisecond, which it came before."""
    rules = journey_rules((0, 1), repeatable=True)
    [(waypoint, rule)] = rules.waypoints.items()
    moved = replace(rules, version=2, waypoints={waypoint: replace(rule, order=2)})
    items = [
        (waypoint, Item(ObjectId(number.to_bytes(12)), at(second))) for number, second in ((1, 7), (2, 7), (3, 10))
    ]
    for limit in (0, 10**9):
        progress = Bounded(FoldingPolicy(document_bytes=limit))
        progress.promote(rules, items[:2])
        progress.promote(moved, items[2:])
        assert bool(progress.segments) == (limit == 0)
        before = public(progress.whole)
        assert progress.promote(moved, items[:1]).event is None
        assert public(progress.whole) == before


def test_a_size_is_not_less_than_what_bson_takes() -> None:
    rules = journey_rules((0, 3), (1, 2), repeatable=True)
    progress = Bounded(FoldingPolicy(document_bytes=10**9))
    numbers = iter(range(10_000))
    for waypoint, times in zip([*rules.waypoints] * 50, [3, 2] * 50, strict=True):
        items = [
            (waypoint, Item(ObjectId((n + 1).to_bytes(12)), at(n))) for n, _ in zip(numbers, range(times), strict=False)
        ]
        progress.promote(rules, items)
    completions = progress.document["completions"]
    size = len(bson.encode({"completions": completions}))
    assert 0.7 * sum(map(size_of, completions)) < size <= sum(map(size_of, completions)) + 32


def test_segments_are_named_by_the_document_that_they_left() -> None:
    rules = journey_rules((0, 1), repeatable=True)
    waypoint = next(iter(rules.waypoints))
    progress = Bounded(FoldingPolicy(document_bytes=1_000))
    for number in range(1, 40):
        progress.promote(rules, [(waypoint, Item(ObjectId(number.to_bytes(12)), at(number)))])
    assert segments_of([progress.document]) == list(progress.segments)
    assert len(progress.segments) > 3
