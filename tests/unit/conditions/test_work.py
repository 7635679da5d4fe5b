"""Evaluation is linear in the size of the document: counted in calls, not timed."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from processor.core.conditions import Conditions, compile_conditions

SIZE = 100
"""More levels than any path here has parts: before, the work also grows because more of the path is walked."""

GROWTH = 4
SLACK = 1.1


def wide(size: int) -> dict[str, Any]:
    """An array of documents, with arrays in them."""
    return {"a": [{"b": [1, 2], "0": {"b": number}, "c": {"d": "x"}} for number in range(size)]}


def ambiguous(size: int) -> dict[str, Any]:
    """Numbers are positions and keys, so that many ways lead to the same value."""
    node: Any = {"b": 1}
    for _ in range(size):
        node = [{"0": node}]
    return {"a": node}


def deep(size: int) -> dict[str, Any]:
    """Arrays in arrays in documents."""
    node: Any = 1
    for _ in range(size):
        node = {"a": [[node, 2], node]} if size < 6 else {"a": [node]}
    return {"a": node}


def scalars(size: int) -> dict[str, Any]:
    """One long array."""
    return {"a": [f"x{number}" for number in range(size)]}


QUERIES: list[dict[str, Any]] = [
    {"a": 1},
    {"a": {"$ne": "y"}},
    {"a.b": {"$gt": 5}},
    {"a.0.b": 7},
    {"a.0.0.0.0.0.0.0.0.0.0.0.0.b": 7},
    {".".join(["a"] * 90): 7},
    {".".join(["a", *["0"] * 90]): 7},
    {"a": {"$elemMatch": {"b": {"$elemMatch": {"$gt": 9}}, "c.d": "y"}}},
    {"a": {"$all": ["x1", "y", {"b": 1}, [1]]}},
    {"a": {"$in": [{"b": 1}, [1, 2], "y", {"$regex": "(z|zz)*$"}, 7]}},
    {"a": {"$not": {"$elemMatch": {"b": {"$all": [1, 2]}}}}},
    {"a.b": {"$type": ["object", "array", "string"]}, "a.c.d": {"$size": 3}},
    {"$or": [{"a.b": 9}, {"a.c": {"d": "y"}}, {"$nor": [{"a.c.d": {"$exists": True}}]}]},
    {"a": {"$gt": {"b": [1, 2, 3]}}, "b": None},
]


def work(conditions: Conditions, document: dict[str, Any]) -> int:
    """Count the calls, of Python's functions and of C's, that an evaluation makes."""
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        conditions(document)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("shape", [wide, ambiguous, deep, scalars])
@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_work_grows_no_faster_than_the_document(query: dict[str, Any], shape: Callable[[int], dict[str, Any]]) -> None:
    conditions = compile_conditions(query)
    small, large = (work(conditions, shape(size)) for size in (SIZE, SIZE * GROWTH))
    assert large <= small * GROWTH * SLACK


def test_a_regular_expression_that_explodes_elsewhere() -> None:
    """RE2 takes time linear in the text: this would not end before the sun does with a backtracking engine."""
    conditions = compile_conditions({"a": {"$regex": "^(a+)+(a|aa)+$"}})
    assert not conditions({"a": "a" * 100_000 + "b"})
