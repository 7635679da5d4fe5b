"""What is plainly a statement is one: whatever the quick look takes, the full model takes too."""

import copy
import random
from typing import Any

import orjson
import pytest
from bson import Code
from pydantic import ValidationError

from schemas.plain import is_plain
from schemas.statement import VOIDED, validate_statement
from tests.builders import a_statement
from tests.hostile import mutated
from tests.unit.schemas.samples import CONFORMANCE, COURSE, lines, needs

AGENT = {"objectType": "Agent", "name": "Ana", "account": {"homePage": "https://example.org", "name": "ana"}}
MAIL = {"mbox": "mailto:ana@example.org"}
ACTIVITY = {"id": "http://example.org/a", "objectType": "Activity"}
FULL: dict[str, Any] = {
    "id": "6690e6c9-3ef0-4ed3-8b37-000001312d00",
    "actor": AGENT,
    "verb": {"id": "http://example.org/verbs/did", "display": {"en-GB": "did", "de": "tat"}},
    "object": {
        **ACTIVITY,
        "definition": {
            "name": {"en": "a"},
            "description": {"en": "b"},
            "type": "http://example.org/t",
            "moreInfo": "http://example.org/m",
            "extensions": {"http://example.org/e": [None, {"x": 1}]},
        },
    },
    "result": {
        "score": {"scaled": 1},
        "success": True,
        "completion": False,
        "response": "",
        "extensions": {"http://example.org/e": None},
    },
    "context": {
        "registration": "6690e6c9-3ef0-4ed3-8b37-000001312d01",
        "contextActivities": {kind: [ACTIVITY] for kind in ("parent", "grouping", "category", "other")},
        "revision": "1",
        "platform": "p",
        "language": "en-GB",
        "extensions": {"http://example.org/e": 1.5},
    },
    "timestamp": "2026-01-01T10:00:00.000Z",
    "stored": "2026-01-01T10:00:00+01:00",
    "authority": MAIL,
    "version": "1.0.3",
}


def is_valid(statement: Any) -> bool:
    try:
        validate_statement(statement)
    except ValidationError:
        return False
    return True


def holds(statement: Any) -> bool:
    """What has to be: the quick look takes nothing that the model refuses."""
    return not is_plain(statement) or is_valid(statement)


def with_a_part(path: str, value: Any) -> Any:
    statement = copy.deepcopy(FULL)
    *parents, last = path.split(".")
    part = statement
    for parent in parents:
        part = part[parent]
    part[last] = value
    return statement


def test_all_that_is_looked_at_may_be_there() -> None:
    assert is_plain(FULL)
    assert is_valid(FULL)
    assert is_plain(a_statement())


BROKEN: dict[str, Any] = {
    "actor.account.homePage": ["x", 1, None, " http://example.org", "http://example.org/ "],
    "actor.mbox": ["mailto:ana@example.org"],
    "actor.account": [None, {}],
    "actor.objectType": ["agent", None],
    "authority.mbox": ["ana@example.org", None],
    "authority.account": [{"homePage": "http://example.org", "name": "x"}],
    "verb.id": ["x", VOIDED, 1],
    "verb.display": [{"english!": "x"}, {"en": 1}, None],
    "object.id": ["x", "", None],
    "object.objectType": ["Agent", "activity"],
    "object.definition.type": ["x", None],
    "object.definition.moreInfo": ["x"],
    "object.definition.extensions": [{"x": 1}],
    "object.definition.name": [{"e": "x"}],
    "object.definition.description": [{"e": "x"}],
    "result.score.scaled": [1.1, -1.1, "1", True, None],
    "result.success": ["true", 1, None],
    "result.extensions": [{"x": 1}, []],
    "context.registration": ["x", "6690e6c9-3ef0-4ed3-7b37-000001312d0", "", None],
    "context.contextActivities.parent": [[{"id": "x"}], [None], "x"],
    "context.contextActivities.other": [[{**ACTIVITY, "definition": {"type": "x"}}], [{"id": "urn:x", "name": {}}]],
    "context.language": ["e", "", 1],
    "context.extensions": [{"": 1}],
    "id": ["x", "", None],
    "timestamp": [
        "2026-02-30T10:00:00Z",
        "2026-01-01T10:00:00",
        "2026-01-01T10:00:00-00:00",
        "2026-01-01 10:00:00Z",
        "",
        1,
    ],
    "stored": ["x", "", "2026-01-01 10:00:00Z"],
    "version": ["1.1", "", "3.0", 1],
    "Verb": [{}],
}


@pytest.mark.parametrize(("path", "value"), [(path, value) for path, values in BROKEN.items() for value in values])
def test_each_of_its_rules_is_one_of_the_models(path: str, value: Any) -> None:
    statement = with_a_part(path, value)
    assert not is_valid(statement)
    assert not is_plain(statement)


@pytest.mark.parametrize("path", ["verb.id", "object.id", "context.language", "timestamp", "version"])
def test_what_bson_has_besides_json_is_left_to_the_model(path: str) -> None:
    assert not is_plain(with_a_part(path, Code("en")))


@needs(CONFORMANCE)
def test_the_conformance_suite() -> None:
    cases = lines(CONFORMANCE)
    assert [case["name"] for case in cases if not holds(case["statement"])] == []
    assert sum(is_plain(case["statement"]) for case in cases) > 20


@needs(COURSE)
def test_the_course_is_plain() -> None:
    assert all(map(is_plain, lines(COURSE)))


@pytest.mark.parametrize("seed", range(20))
def test_broken_statements(seed: int) -> None:
    dice = random.Random(seed)
    plain = 0
    for _ in range(150):
        raw = mutated(FULL, dice)
        try:
            statement = orjson.loads(raw)
        except orjson.JSONDecodeError:
            continue
        if isinstance(statement, dict):
            plain += is_plain(statement)
            assert holds(statement), statement
    assert plain
