"""Moulds: when one is made, of what, and what it is not for."""

from dataclasses import replace
from datetime import datetime

import pytest
from msgspec import structs

from processor.core import mould
from processor.core.beginning import Beginning
from processor.core.beginning import begin as usual
from processor.core.evidence import Append
from processor.core.journey import JourneyRules
from processor.core.mould import USES, Moulds
from processor.core.policy import FoldingPolicy
from tests.builders import WAYPOINTS, an_append, an_item, at, journey_rules

RULES = journey_rules((0, 1))
POLICY = FoldingPolicy()


@pytest.fixture
def folded(monkeypatch: pytest.MonkeyPatch) -> list[Append]:
    """The appends that were folded, those of the moulds among them."""
    found: list[Append] = []

    def begin(
        append: Append, rules: JourneyRules | None, policy: FoldingPolicy, lock_key: str, now: datetime
    ) -> Beginning | None:
        found.append(append)
        return usual(append, rules, policy, lock_key, now)

    monkeypatch.setattr(mould, "begin", begin)
    return found


MADE = USES + 1
"""What is folded until the first comes out of the mould: those before, and two for the mould itself."""


def begun(moulds: Moulds, append: Append, rules: JourneyRules = RULES) -> Beginning | None:
    made = moulds.begin(append, rules, "lock", at(1))
    assert made == usual(append, rules, POLICY, "lock", at(1))
    return made


def test_what_begins_alike_is_folded_no_more(folded: list[Append]) -> None:
    moulds = Moulds(POLICY)
    for number in range(3 * USES):
        assert begun(moulds, an_append(an_item(number), owner=f"learner-{number}"))
    assert len(folded) == MADE


def test_a_journey_that_was_saved_again_has_moulds_of_its_own(folded: list[Append]) -> None:
    """Also under the same version: a row of the database may be restored, or written by hand."""
    moulds, other = Moulds(POLICY), journey_rules((0, 2))
    for rules in (RULES, other):
        for number in range(USES + 5):
            made = begun(moulds, an_append(an_item(number)), rules)
            assert made
            assert made.document["isCompleted"] is (rules is RULES)
    assert len(folded) == 2 * MADE


@pytest.mark.parametrize(
    "append",
    [
        an_append(an_item(1), an_item(2)),
        structs.replace(an_append(), items={key: (an_item(1),) for key in WAYPOINTS[:2]}),
        structs.replace(an_append(), items={}),
        structs.replace(an_append(), replay="chunk"),
    ],
)
def test_what_has_another_shape_is_folded(folded: list[Append], append: Append) -> None:
    moulds, rules = Moulds(POLICY), journey_rules((0, 1), (1, 1))
    for _ in range(USES):
        begun(moulds, append, rules)
    assert len(folded) == USES


def test_what_was_found_under_another_version_or_none_takes_the_usual_way() -> None:
    moulds = Moulds(POLICY)
    for _ in range(USES):
        begun(moulds, an_append())
    assert begun(moulds, an_append(version=2)) is None
    assert begun(moulds, an_append(), replace(RULES, is_active=False)) is None
    assert moulds.begin(an_append(), None, "lock", at(1)) is None


def test_what_differs_in_more_than_the_holes_gets_no_mould(monkeypatch: pytest.MonkeyPatch) -> None:
    def begin(append: Append, *others: object) -> Beginning | None:
        made = usual(append, *others)  # type: ignore[arg-type]
        year = append.items[WAYPOINTS[0]][0].timestamp.year
        return made and structs.replace(made, document={**made.document, "year": year})

    monkeypatch.setattr(mould, "begin", begin)
    assert mould.mould_of(RULES, WAYPOINTS[0], POLICY) is None


def test_only_so_many_kinds_are_remembered(monkeypatch: pytest.MonkeyPatch, folded: list[Append]) -> None:
    monkeypatch.setattr(mould, "MOST", 2)
    moulds = Moulds(POLICY)
    several = [journey_rules((0, 1), version=version) for version in (1, 2, 3)]
    for _ in range(2 * USES):
        for rules in several:  # so that none is still known when it comes again
            begun(moulds, an_append(version=rules.version), rules)
    assert len(folded) == 6 * USES
