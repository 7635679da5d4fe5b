"""Moulds: when one is made, of what, and what it is not for."""

from dataclasses import replace
from datetime import datetime

import pytest
from bson import ObjectId
from msgspec import structs

from processor.core import mould
from processor.core.beginning import Beginning
from processor.core.beginning import begin as usual
from processor.core.evidence import Append
from processor.core.journey import JourneyRules
from processor.core.mould import SEVERAL, Moulds
from processor.core.policy import FoldingPolicy
from tests.builders import WAYPOINTS, a_reference, an_append, an_item, an_owner, at, journey_rules

RULES = journey_rules((0, 1))
POLICY = FoldingPolicy()
USES = 3


@pytest.fixture
def folded(monkeypatch: pytest.MonkeyPatch) -> list[Append]:
    """The appends that were folded, the two samples of each mould among them."""
    found: list[Append] = []

    def begin(
        append: Append, rules: JourneyRules | None, policy: FoldingPolicy, lock_key: str, now: datetime
    ) -> Beginning | None:
        found.append(append)
        return usual(append, rules, policy, lock_key, now)

    monkeypatch.setattr(mould, "begin", begin)
    return found


def begun(moulds: Moulds, append: Append, rules: JourneyRules = RULES) -> Beginning | None:
    made = moulds.begin(append, rules, "lock", at(1))
    assert made == usual(append, rules, POLICY, "lock", at(1))
    return made


def folded_for(kinds: int, *, times: int = 1) -> int:
    """How much is folded until so many kinds have their moulds: those before, and two for each mould itself."""
    return kinds * (times * (USES - 1) + 2)


def test_what_begins_alike_is_folded_no_more(folded: list[Append]) -> None:
    moulds = Moulds(POLICY, USES)
    made = [begun(moulds, an_append(an_item(number), owner=f"learner-{number}")) for number in range(10)]
    assert len({it.document["_id"] for it in made if it}) == 10
    assert len(folded) == folded_for(1)


def test_personas_have_moulds_too_and_so_has_what_tells_nobody(folded: list[Append]) -> None:
    """Evidence of an inactive waypoint is kept, and changes nothing that is public."""
    moulds, rules = Moulds(POLICY, USES), journey_rules((0, 1), (1, 1))
    first, second = WAYPOINTS[:2]
    inactive = {first: rules.waypoints[first], second: replace(rules.waypoints[second], is_active=False)}
    rules = replace(rules, track_by="persona", waypoints=inactive)
    for number in range(10):
        owner = structs.replace(an_owner(), track_by="persona", ident=a_reference(number))
        made = begun(moulds, structs.replace(an_append(waypoint=second), owner=owner), rules)
        assert made
        assert made.event is None
    assert len(folded) == folded_for(1)


def test_each_waypoint_has_a_mould_of_its_own(folded: list[Append]) -> None:
    moulds, rules = Moulds(POLICY, USES), journey_rules((0, 1), (1, 2))
    for number in range(10):
        for waypoint in WAYPOINTS[:2]:
            begun(moulds, an_append(an_item(number), waypoint=waypoint), rules)
    assert len(folded) == folded_for(2)


def test_a_journey_that_was_saved_again_has_others(folded: list[Append]) -> None:
    """Also under the same version: a journey may be restored, or written by hand."""
    moulds = Moulds(POLICY, USES)
    for rules in (RULES, journey_rules((0, 2))):
        for number in range(10):
            made = begun(moulds, an_append(an_item(number)), rules)
            assert made
            assert made.document["isCompleted"] is (rules is RULES)
    assert len(folded) == folded_for(2)


@pytest.mark.parametrize(
    "append",
    [
        an_append(an_item(2), an_item(1)),
        an_append(an_item(1), an_item(2, seconds=1)),
        an_append(an_item(1), an_item(1, seconds=2)),
        an_append(*map(an_item, range(1, SEVERAL + 2))),
        structs.replace(an_append(), items={key: (an_item(1),) for key in WAYPOINTS[:2]}),
        structs.replace(an_append(), items={}),
        structs.replace(an_append(), organisation=ObjectId()),
        structs.replace(an_append(), owner=structs.replace(an_owner(), track_by="persona")),
        an_append(version=2),
    ],
)
def test_what_has_another_shape_or_was_found_under_other_rules_is_folded(folded: list[Append], append: Append) -> None:
    moulds, rules = Moulds(POLICY, USES), journey_rules((0, 1), (1, 1))
    for waypoint in WAYPOINTS[:2] * USES:
        begun(moulds, an_append(waypoint=waypoint), rules)
    folded.clear()
    for _ in range(5 * USES):
        begun(moulds, append, rules)
    assert folded == [append] * (5 * USES)


def test_bursts_have_moulds_too_each_number_of_items_its_own(folded: list[Append]) -> None:
    """Where two count, the third of three is surplus, and has holes as well."""
    moulds, rules = Moulds(POLICY, USES), journey_rules((0, 2), (1, 1))
    for number in range(20):
        for count in (1, 2, 3, SEVERAL):
            begun(moulds, an_append(*map(an_item, range(number, number + count))), rules)
    assert len(folded) == sum(folded_for(1, times=times) for times in (1, 2, 3, 4))


def test_a_burst_that_completes_a_journey_is_folded_each_time_as_it_takes_another_while(folded: list[Append]) -> None:
    moulds, rules = Moulds(POLICY, USES), journey_rules((0, 2))
    made = [begun(moulds, an_append(an_item(1), an_item(number)), rules) for number in range(2, 12)]
    assert [it.document["duration"] for it in made if it] == [number * 1_000_000 for number in range(1, 11)]
    assert len(folded) == 10 + 2


def test_without_rules_or_under_a_journey_that_rests_there_is_nothing_to_begin() -> None:
    moulds = Moulds(POLICY, USES)
    for _ in range(2 * USES):
        assert begun(moulds, an_append(), replace(RULES, is_active=False)) is None
        assert moulds.begin(an_append(), None, "lock", at(1)) is None


def test_what_differs_in_more_than_the_holes_gets_no_mould_and_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0

    def begin(append: Append, *others: object) -> Beginning | None:
        nonlocal asked
        asked += 1
        made = usual(append, *others)  # type: ignore[arg-type]
        year = append.items[WAYPOINTS[0]][0].timestamp.year
        return made and structs.replace(made, document={**made.document, "year": year})

    monkeypatch.setattr(mould, "begin", begin)
    moulds = Moulds(POLICY, USES)
    for _ in range(10):
        made = moulds.begin(an_append(), RULES, "lock", at(1))
        assert made
        assert made.document["year"] == an_item(1).timestamp.year
    assert asked == 10 + 2


def test_only_so_many_kinds_are_remembered(monkeypatch: pytest.MonkeyPatch, folded: list[Append]) -> None:
    monkeypatch.setattr(mould, "MOST", 2)
    moulds, rules = Moulds(POLICY, USES), journey_rules((0, 1), (1, 1), (2, 1))
    for waypoint in WAYPOINTS[:3] * 10:  # so that none is still known when it comes again
        begun(moulds, an_append(waypoint=waypoint), rules)
    assert len(folded) == 30


def test_bursts_of_many_kinds_cost_what_comes_alone_no_mould(
    monkeypatch: pytest.MonkeyPatch, folded: list[Append]
) -> None:
    monkeypatch.setattr(mould, "MOST_BURSTS", 2)
    moulds = Moulds(POLICY, USES)
    for number in range(10):
        begun(moulds, an_append(an_item(number)))
        for count in (2, 3, 4):
            begun(moulds, an_append(*map(an_item, range(count))))
    assert len(folded) == folded_for(1) + 30


def test_a_journey_that_is_saved_again_costs_no_other_its_mould(
    monkeypatch: pytest.MonkeyPatch, folded: list[Append]
) -> None:
    monkeypatch.setattr(mould, "MOST", 2)
    moulds, rules = Moulds(POLICY, USES), journey_rules((0, 1), (1, 1))
    for waypoint in WAYPOINTS[:2] * USES:
        begun(moulds, an_append(waypoint=waypoint), rules)
    begun(moulds, an_append(waypoint=WAYPOINTS[1]), journey_rules((0, 1), (1, 2)))
    folded.clear()
    begun(moulds, an_append(), rules)
    assert not folded
