"""The rejection budget: a share of a window of records."""

import pytest

from processor.core.records import Reason, Rejected
from processor.core.rejections import RejectionBudget, Rejections
from tests.builders import a_record

HALF_OF_TEN = RejectionBudget(0.5, 10)


def bad(number: int, items: int = 1) -> list[Rejected]:
    return [
        Rejected(a_record(offset=offset), Reason.NOT_JSON, "why", item)
        for offset in range(number)
        for item in range(items)
    ]


def after(budget: RejectionBudget, *batches: tuple[int, int]) -> Rejections:
    rejections = Rejections()
    for records, rejected in batches:
        rejections = rejections.after(records, bad(rejected), budget)
    return rejections


@pytest.mark.parametrize(
    ("batches", "is_exceeded"),
    [
        ([(10, 5)], False),
        ([(10, 6)], True),
        ([(9, 9)], False),  # not a window yet
        ([(9, 9), (1, 0)], True),
        ([(5, 5), (5, 0), (5, 0)], False),  # the bad ones have left the window
        ([(5, 0), (5, 3), (5, 3)], True),
        ([(1_000, 0), (10, 6)], True),  # a long good past is no credit
        ([(6, 6), (1_000, 0)], False),
        ([(1, 1)] * 10, True),
    ],
)
def test_a_full_window_is_judged(batches: list[tuple[int, int]], is_exceeded: bool) -> None:
    assert after(HALF_OF_TEN, *batches).exceed(HALF_OF_TEN) is is_exceeded


def test_without_a_budget_everything_is_parked() -> None:
    off = RejectionBudget(0, 10)
    assert not after(off, (10, 10), (10, 10)).exceed(off)


def test_an_array_with_many_bad_items_is_one_bad_record() -> None:
    rejections = Rejections().after(10, bad(3, items=50), HALF_OF_TEN)
    assert (rejections.bad, rejections.records) == (3, 10)
    assert not rejections.exceed(HALF_OF_TEN)


def test_the_window_is_bounded() -> None:
    rejections = after(HALF_OF_TEN, *[(3, 1)] * 1_000)
    assert len(rejections.polls) == 4
