"""Filters as MongoDB is asked them."""

from typing import Any

import pytest

from processor.core.queries import PROGRESS, filter_from

OPERATORS = {"$regex": "x", "$options": "i"}


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ({"a": {"$regex": "x", "$options": "ui"}}, {"a": OPERATORS}),
        ({"a": {"$options": "iu", "$regex": "x"}}, {"a": OPERATORS}),
        ({"a": {"$not": {"$regex": "x", "$options": "iu"}}}, {"a": {"$not": OPERATORS}}),
        ({"a": {"$elemMatch": {"$regex": "x", "$options": "iu"}}}, {"a": {"$elemMatch": OPERATORS}}),
        ({"$or": [{"a": {"$elemMatch": {"b": {"$regex": "x", "$options": "u"}}}}]},
         {"$or": [{"a": {"$elemMatch": {"b": {"$regex": "x", "$options": ""}}}}]}),
    ],
    ids=str,
)  # fmt: skip
def test_an_expression_is_unicode_anyway(written: dict[str, Any], asked: dict[str, Any]) -> None:
    assert filter_from(written, PROGRESS) == asked


def test_an_expression_as_a_value_is_unicode_anyway() -> None:
    for spelled in ({"$regularExpression": {"pattern": "x", "options": "iu"}}, {"$regex": "x", "$options": "iu"}):
        [[found]] = [asked["$in"] for asked in filter_from({"a": {"$in": [spelled]}}, PROGRESS).values()]
        assert (found.pattern, found.flags) == ("x", 2)
