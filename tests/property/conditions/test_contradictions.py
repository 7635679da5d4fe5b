"""No range that some value is in is said to be empty."""

from collections.abc import Callable
from datetime import UTC, datetime
from operator import ge, gt, le, lt
from typing import Any

from bson import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.core.conditions import compile_conditions, warnings_of
from processor.core.conditions.values import compare

PATH = "statement.result.score.raw"
OPERATORS: dict[str, Callable[[int, int], bool]] = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}

kinds = st.sampled_from(
    [
        st.sampled_from([2**53, 2**63 - 2, -(2**53), 10**17]).flatmap(lambda it: st.integers(it - 3, it + 3)),
        st.floats(allow_nan=False) | st.integers(-3, 3) | st.floats(-1, 1),
        st.text(max_size=3) | st.text("ab", max_size=2),
        st.integers(0, 5).map(lambda it: ObjectId(f"{it:024x}")),
        st.integers(0, 5).map(lambda it: f"{it + 16**24 - 6:024X}"),
        st.integers(0, 5).map(lambda it: datetime(2026, 1, 1, 0, 0, 0, it * 1000, tzinfo=UTC)),
        st.integers(0, 5).flatmap(lambda it: st.sampled_from([ObjectId(f"{it:024x}"), f"{it:024x}"])),
        st.booleans(),
    ]
)


@settings(max_examples=500)
@given(kinds.flatmap(lambda kind: st.lists(kind, min_size=2, max_size=4)))
def test_what_holds_for_a_value_is_no_contradiction(values: list[Any]) -> None:
    """All bounds are drawn so that the first value meets them."""
    value, *bounds = values
    asked = [
        {PATH: {operator: bound}}
        for bound in bounds
        for operator, holds in OPERATORS.items()
        if holds(compare(value, bound), 0)
    ]
    conditions = compile_conditions({"$and": asked})
    assert conditions({"statement": {"result": {"score": {"raw": value}}}})
    assert warnings_of(conditions) == []
