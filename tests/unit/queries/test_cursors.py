"""Places in a sorted set: written, read back, and what lies beyond them, judged by our own conditions."""

from typing import Any
from uuid import UUID

import orjson
import pytest
from bson import Decimal128, ObjectId, Regex
from hypothesis import given
from hypothesis import strategies as st

from processor.core.conditions import compile_conditions
from processor.core.conditions.values import compare
from processor.core.queries import JOURNEY, PROGRESS, beyond, cursor_at, place_from, reverse, sort_from, sort_from_text
from processor.core.queries.models import Kind
from processor.errors import InvalidInput
from tests.builders import at

instants = st.integers(-(10**9), 10**9).map(at)
ids = st.binary(min_size=12, max_size=12).map(ObjectId)
numbers = st.integers(-(2**53), 2**53)
values = st.none() | st.booleans() | numbers | st.text(max_size=5) | instants | ids


@given(st.lists(values, min_size=3, max_size=3), ids)
def test_a_cursor_is_read_as_it_was_written(found: list[Any], key: ObjectId) -> None:
    sort = sort_from({"owner.ident": 1, "a.b": -1, "&46;": 1}, PROGRESS)
    place = place_from(cursor_at(sort, [*found, key], PROGRESS), sort, PROGRESS, "after")
    assert [value for _, _, value in place] == [*found, key]
    assert tuple((path, direction) for path, direction, _ in place) == sort


@given(st.lists(st.tuples(st.integers(0, 3) | st.text("ab", max_size=1) | st.none(), numbers), min_size=2, max_size=6))
def test_what_lies_beyond_is_what_the_sort_puts_after(rows: list[tuple[Any, int]]) -> None:
    documents = [{"_id": ObjectId(f"{n:024x}"), "a": a, "b": b} for n, (a, b) in enumerate(rows)]
    for sort in (sort_from({"a": 1, "b": -1}, PROGRESS), sort_from({"a": -1}, PROGRESS)):
        for way in (sort, reverse(sort)):
            for here in documents:
                place = tuple((path, direction, here[path]) for path, direction in way)
                matches = compile_conditions(beyond(place, PROGRESS))
                assert [bool(matches(it)) for it in documents] == [_is_after(it, here, way) for it in documents]


def _is_after(one: dict[str, Any], other: dict[str, Any], sort: Any) -> bool:
    orders = (compare(one[path], other[path]) * direction for path, direction in sort)
    return next((order for order in orders if order), 0) > 0


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("-inf"), b"x", Decimal128("1.5"), Regex("x"), UUID(int=1), {"a": [float("inf")]}, {"a": b""}],
    ids=repr,
)
def test_there_is_no_paging_by_what_would_come_back_as_something_else(value: Any) -> None:
    with pytest.raises(InvalidInput, match="sort: x holds what JSON cannot hold"):
        cursor_at((("x", 1), ("_id", 1)), [value, ObjectId()], JOURNEY)


@pytest.mark.parametrize("waypoint", ["59c237bebdf9ac67b2ab5eea", "0" * 23 + "1"])
@pytest.mark.parametrize("place", ["", "0."])
def test_a_waypoint_is_none_of_the_positions_whatever_its_digits(waypoint: str, place: str) -> None:
    assert PROGRESS.kind_at(f"completions.{place}waypoints.{waypoint}.completedAt") is Kind.DATE
    assert PROGRESS.kind_at(f"pendingProgress.{waypoint}.statements.{place}statement") is Kind.ID


@pytest.mark.parametrize("depth", [50, 900, 1_000])
def test_a_sort_that_is_nested_too_deeply(depth: int) -> None:
    with pytest.raises(InvalidInput, match=r"sort: .*nested deeper"):
        sort_from(orjson.loads('{"a":' + "[" * depth + "]" * depth + "}"), JOURNEY)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, (("_id", 1),)),
        ({"updatedAt": -1}, (("updatedAt", -1), ("_id", -1))),
        ({"updatedAt": "desc", "journey": "1"}, (("updatedAt", -1), ("journey", 1), ("_id", -1))),
        ({"_id": -1, "updatedAt": 1}, (("_id", -1),)),
    ],
    ids=str,
)
def test_a_sort_is_always_total(written: dict[str, Any], expected: Any) -> None:
    assert sort_from(written, PROGRESS) == expected


def test_a_sort_of_names() -> None:
    assert sort_from_text("-updatedAt journey", PROGRESS) == (("updatedAt", -1), ("journey", 1), ("_id", -1))


def test_there_is_no_paging_by_a_list() -> None:
    with pytest.raises(InvalidInput, match="completions holds a list"):
        cursor_at((("completions", 1), ("_id", 1)), [[], ObjectId()], PROGRESS)


@pytest.mark.parametrize("letters", ["d" * 6_050, "é" * 3_025, "\n" * 3_025])
def test_there_is_no_paging_by_what_is_too_long_for_a_cursor_that_is_taken(letters: str) -> None:
    sort, key = sort_from({"trackBy": 1, "description": 1}, JOURNEY), ObjectId()
    text = cursor_at(sort, ["actor", letters, key], JOURNEY)
    assert [value for _, _, value in place_from(text, sort, JOURNEY, "after")] == ["actor", letters, key]
    with pytest.raises(InvalidInput, match="description holds a value too long"):
        cursor_at(sort, ["actor", letters + "d" * 40, key], JOURNEY)
