"""The index never changes a verdict: what it finds is what a plain scan of all waypoints finds."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import orjson
import pytest
from bson import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processor.core import shelves
from processor.core.conditions import compile_conditions
from processor.core.decode import Tenancy, decode
from processor.core.explain import Explaining, explain
from processor.core.index import JourneyIndex
from processor.core.journey import JourneyRules, compile_journey
from processor.core.records import Record, StatementRecord
from processor.core.shelves import Entry, Shelves
from tests.builders import START, a_journey, a_statement, a_statement_document
from tests.conftest import SHARED
from tests.property.conditions.realistic import Leaves, a_realistic_query, in_dialect, leaves_of
from tests.property.conditions.strategies import Case, Dice, cases

ORGANISATIONS = ObjectId("59198183d8ea540933227033"), ObjectId("59198183d8ea540933227034")
STORES = ObjectId("59c236a0bdf9ac67b2ab5ee7"), ObjectId("59c236a0bdf9ac67b2ab5ee8")

indexed = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("crowd", [1, shelves.CROWD])
@indexed
@given(case=cases())
def test_every_match_is_a_candidate(crowd: int, case: Case) -> None:
    """Of the queries that go to the corners; with shelves within shelves even for few of them."""
    documents, queries = case
    conditions = list(map(compile_conditions, queries))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shelves, "CROWD", crowd)
        index = Shelves([Entry(found, found.required) for found in conditions])
    for document in documents:
        candidates = list(index.candidates(document))
        assert len(candidates) == len(set(map(id, candidates)))
        for query, found in zip(queries, conditions, strict=True):
            assert not found(document) or found in candidates, query


NAMES = (
    "a",
    "statement",
    "class",
    "__init__",
    'http://x.y/"a',
    "DOMAIN\\user",
    "a\nb",
    "\0",
    "x.y",
    "a.b.c",
    "é\u2028",
)
"""Keys that JSON may have."""


@indexed
@given(
    st.lists(
        st.lists(st.sampled_from(NAMES) | st.text(min_size=1, max_size=5), min_size=1, max_size=12),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
)
def test_whatever_the_names_are_the_index_is_built_and_finds_it(paths: list[list[str]], is_encoded: bool) -> None:
    """One path that nobody can look at must not cost all others their snapshot (DECISIONS 105)."""
    conditions = [
        {".".join(["statement", "result", "extensions", *(key.replace(".", "&46;") for key in path)]): 1}
        for path in paths
    ]
    rules = [compile_journey(a_journey(waypoints=[{"_id": ObjectId(), "conditions": it}])) for it in conditions]
    index = JourneyIndex(rules)
    for path, journey in zip(paths, rules, strict=True):
        extensions: Any = 1
        for key in reversed(path):
            extensions = {key.replace(".", "&46;") if is_encoded else key: extensions}
        document = a_statement_document(statement=a_statement(result={"extensions": extensions}))
        value = orjson.dumps(document)
        [found] = decode(Record("statements", 0, 0, 0, value), Tenancy())
        assert isinstance(found, StatementRecord)
        assert journey.id in {match.journey.id for match in index.matches(found)}
        [(_, things)] = index.glance.unsettled([value])
        assert things is None or journey.id in {match.journey.id for match in things}


def test_a_path_with_dots_in_every_part_is_not_looked_at() -> None:
    """Fields for both spellings of each of so few parts take seconds already, of twice as many all memory."""
    asked = {".".join(["statement", *["a&46;b"] * 14]): 1}
    index = JourneyIndex([compile_journey(a_journey(waypoints=[{"_id": ObjectId(), "conditions": asked}]))])
    assert not index.scanned
    assert index.glance.unsettled([orjson.dumps(a_statement_document())]) == [(0, None)]


@cache
def records() -> Sequence[StatementRecord]:
    """Real statements, of two organisations and two stores, some with a persona, some voided."""
    lines = (SHARED / "video-course-statements.jsonl").read_bytes().splitlines()[::80]
    return [_record(line, number) for number, line in enumerate(lines)]


def _record(line: bytes, number: int) -> StatementRecord:
    tenancy = Tenancy(ORGANISATIONS[number % 5 == 0], STORES[number % 3 == 0])
    [decoded] = decode(Record("statements", 0, number, 0, line), tenancy)
    assert isinstance(decoded, StatementRecord)
    decoded.document["voided"] = number % 7 == 0  # type: ignore[index]  # fresh, and nobody else's
    return decoded


@cache
def leaves() -> Leaves:
    return leaves_of(record.document for record in records())


@st.composite
def journeys(draw: st.DrawFn) -> list[JourneyRules]:
    dice = Dice(draw)
    found = leaves()
    return dice.some(lambda: compile_journey(_journey(dice, found)), 1, 8)


def _journey(dice: Dice, found: Leaves) -> dict[str, Any]:
    waypoints = [
        {"_id": ObjectId(), "isActive": dice.number(0, 5) > 0, "conditions": in_dialect(a_realistic_query(dice, found))}
        for _ in range(dice.number(1, 4))
    ]
    return a_journey(
        organisation=dice.one(ORGANISATIONS),
        sources=list(dice.one(((), (), STORES[:1], STORES))),
        isActive=dice.number(0, 5) > 0,
        waypoints=waypoints,
    )


def scanned(rules: Sequence[JourneyRules], record: StatementRecord) -> set[tuple[ObjectId, str]]:
    """What semantics.md, section 3, says, waypoint by waypoint."""
    return {
        (journey.id, waypoint.id)
        for journey in rules
        for waypoint in journey.waypoints.values()
        if journey.is_active
        and waypoint.is_active
        and journey.organisation == record.organisation
        and (not journey.sources or record.store in journey.sources)
        and not record.document["voided"]
        and waypoint.conditions(record.document)
    }


@pytest.mark.usefixtures("shared_data")
@pytest.mark.parametrize("crowd", [1, shelves.CROWD])
@settings(indexed, max_examples=40)
@given(rules=journeys())
def test_the_index_and_a_plain_scan_agree(crowd: int, rules: list[JourneyRules]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shelves, "CROWD", crowd)
        index = JourneyIndex(rules)
    for record in records():
        matches = index.matches(record)
        found = {(match.journey.id, match.waypoint.id) for match in matches}
        assert len(found) == len(matches)
        assert found == scanned(rules, record)


@pytest.mark.usefixtures("shared_data")
@settings(indexed, max_examples=20)
@given(rules=journeys())
def test_explain_and_the_matcher_agree(rules: list[JourneyRules]) -> None:
    index = JourneyIndex(rules)
    for record in records()[:10]:
        found = {(match.journey.id, match.waypoint.id) for match in index.matches(record)}
        for journey in rules:
            explained = explain(journey, record, Explaining(START)).waypoints
            assert {it.waypoint.id for it in explained if not it.obstacles} == {
                waypoint for key, waypoint in found if key == journey.id
            }
