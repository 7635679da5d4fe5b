"""Every example of the page on the condition language, and of the README, does what it says."""

import json
import re
from pathlib import Path

import pytest

from processor.core.conditions import compile_conditions
from processor.core.conditions.ask import refusal
from processor.core.conditions.dialect import converted

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "schemas" / "CONDITIONS.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^\| `(.+?)` \| `(.+?)` \| `(.+?)` \|$", re.MULTILINE)
EXAMPLES = EXAMPLE.findall(PAGE)
OPERATORS = (
    *("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$and", "$or", "$nor", "$not", "$exists", "$type"),
    *("$mod", "$size", "$elemMatch", "$all", "$regex", "$options", "$comment"),
)


@pytest.mark.parametrize(("condition", "match", "miss"), [*EXAMPLES, *EXAMPLE.findall(README)])
def test_example(condition: str, match: str, miss: str) -> None:
    conditions = compile_conditions(condition)
    assert conditions(converted(json.loads(match), "$"))
    assert not conditions(converted(json.loads(miss), "$"))


def test_there_are_examples_and_all_operators() -> None:
    assert len(EXAMPLES) > 10
    assert EXAMPLE.findall(README)
    assert [operator for operator in OPERATORS if not re.search(rf"\{operator}\b", PAGE)] == []


def test_what_is_said_to_be_refused_is() -> None:
    for operator in ("$where", "$expr", "$function", "$personaIdent", "$text", "$jsonSchema"):
        assert operator in PAGE
        assert "is not supported" in refusal(operator)
