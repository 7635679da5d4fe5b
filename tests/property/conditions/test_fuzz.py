"""Conditions of any JSON, however hostile: compiled or refused with path and reason, and never anything else raised."""

from typing import Any

import pytest
from bson import ObjectId
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from processor.core.conditions import Conditions, InvalidConditions, compile_conditions, warnings_of
from tests.property.conditions.strategies import Case, cases

fuzzed = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])

OPERATORS = (
    *("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$and", "$or", "$nor", "$not", "$exists", "$type"),
    *("$regex", "$options", "$elemMatch", "$all", "$size", "$mod", "$comment", "$oid", "$dte", "$date", "$numberLong"),
    *("$numberInt", "$numberDouble", "$regularExpression", "$where", "$expr", "$personaIdent", "$near", "$", "$$"),
)
PATHS = (
    *("a", "b", "a.b", "a.0", "", ".", "a.", "..", "&46;", "a&46;b", "statement.timestamp", "timestamp", "voided"),
    *("statement.result.score.scaled", "pattern", "options", "\0", "é", "\ud800", "0", "00", "9" * 400, "a." * 200),
)
ODD = (
    *(10**400, -(10**400), 2**63, -(2**63), 1e308, float("nan"), float("inf"), -float("inf"), 0, -1, 1.5, True, None),
    *("\ud800", "\udfff\ud800", "(", "[", "(?=x)", "a" * 5_000, "\0", "59c23b28f6463f3569446bd1", "0001-01-01"),
    *("9999-12-31T23:59:59.999-23:59", "2026-01-01T00:00:00Z", "9" * 5_000, "NaN", "imsx", "", "a", "\U0010ffff"),
)
keys = st.sampled_from(OPERATORS + OPERATORS + PATHS) | st.text(max_size=5)
scalars = st.sampled_from(ODD) | st.integers() | st.floats() | st.text(max_size=5) | st.booleans()
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12
)
documents = st.dictionaries(st.sampled_from(("a", "b", "statement", "timestamp", "0")) | keys, anything, max_size=4)


def compiled(query: Any) -> Conditions | None:
    try:
        return compile_conditions(query)
    except InvalidConditions as error:
        is_said = error.path.startswith("$") and bool(error.reason)
    assert is_said, "a refusal without a path or a reason"
    return None


def survive(query: Any, document: dict[str, Any]) -> bool:
    """Put a query to a document in every way there is; tell whether it was compiled."""
    conditions = compiled(query)
    if conditions is None:
        return False
    verdict = conditions(document)
    assert verdict in (True, False)
    found = conditions.explain(document)
    assert all(finding.verdict for finding in found) is verdict
    assert all(map(str, warnings_of(conditions)))
    return True


@fuzzed
@given(st.dictionaries(keys, anything, max_size=3) | anything, documents)
@example({"a": {"$mod": [10**400, 1]}}, {"a": 10**400})
@example({"a": {"$mod": [3, 1]}}, {"a": [10**400, -(10**400), float("nan")]})
@example({"statement.result.score.scaled": {"$gt": 10**400, "$lt": 1e308}}, {"a": 1})
@example({"timestamp": {"$gt": {"$dte": "0001-01-01"}, "$lt": {"$dte": "9999-12-31"}}}, {})
@example({"a": {"$regex": "x"}}, {"a": "\ud800x"})
@example({"a": {"$in": ["\udc00"]}}, {"a": "\udc00"})
@example({"a": {"$size": 10**400}}, {"a": []})
@example({"a": {"$type": [[]]}}, {"a": []})
def test_any_json(query: Any, document: dict[str, Any]) -> None:
    survive(query, document)


@fuzzed
@given(st.text(max_size=200) | st.from_regex(r'\A[{}\[\]",:$a\\u0-9.]*\Z'))
def test_any_text(text: str) -> None:
    survive(text, {"a": 1})


@settings(fuzzed, max_examples=100)
@given(cases(), anything, st.data())
def test_well_formed_queries_with_something_odd_within(case: Case, odd: Any, data: st.DataObject) -> None:
    """The fuzz above hardly gets past the first level; here one value deep in a good query is replaced."""
    _, queries = case
    places: list[tuple[Any, Any]] = []
    _gather(queries, places)
    container, key = data.draw(st.sampled_from(places))
    container[key] = odd
    for document in case[0]:
        for query in queries:
            survive(query, document)


def _gather(value: Any, places: list[tuple[Any, Any]]) -> None:
    """Find every place where a value stands."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in list(inner):
        places.append((value, key))
        _gather(child, places)


def deep(opening: str, closing: str, levels: int) -> str:
    return opening * levels + "1" + closing * levels


@pytest.mark.parametrize("levels", [100, 10_000, 200_000])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [("[", "]"), ('{"a":', "}"), ('{"$and":[', "]}"), ('{"a":{"$not":', "}}"), ('{"a":{"$elemMatch":', "}}")],
)
def test_however_deep(opening: str, closing: str, levels: int) -> None:
    assert not survive(deep(opening, closing, levels), {})


def test_however_deep_the_document() -> None:
    """Ingest takes 64 levels; the compiled conditions do not even mind more."""
    document: Any = 1
    for number in range(100_000):
        document = {"a": document} if number % 2 else [document]
    queries: list[dict[str, Any]] = [{"a": document_of(30)}, {"a": {"$in": [[1], {"a": 1}]}}, {"a": {"$gt": {}}}]
    for query in [*queries, {".".join("a" * 99): 1}]:
        assert survive(query, {"a": document})
    assert compile_conditions({"_id": ObjectId("0" * 24)})({"_id": "0" * 24})


def document_of(levels: int) -> Any:
    return {"a": document_of(levels - 1)} if levels else 1
