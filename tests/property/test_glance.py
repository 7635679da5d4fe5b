"""A glance, and what is sighted, never decide otherwise than reading the whole record would."""

import random
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import orjson
import pytest
from bson import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.core.decode import Tenancy, decode
from processor.core.glance import LeaveOut, who_in
from processor.core.identity import inverse_functional_identifier
from processor.core.index import JourneyIndex, Match
from processor.core.journey import compile_journey
from processor.core.records import Reason, Record, Rejected
from processor.core.shelves import Held
from schemas.ids import parse_timestamp
from tests.builders import a_journey, a_statement, a_statement_document
from tests.golden import STATEMENT_DOCUMENTS
from tests.hostile import LITERALS, TIMES, mutated
from tests.property.conditions.realistic import Leaves, a_realistic_query, in_dialect, leaves_of
from tests.property.conditions.strategies import Dice
from tests.property.whole import has_vast_number, is_sighted_right, is_sighted_right_at_once
from tests.unit.schemas.samples import CONFORMANCE, COURSE, lines, needs

ANA = "59c236a0bdf9ac67b2ab5ee9"
X = "http://example.org/x.y"
ASKED: tuple[dict[str, Any], ...] = (
    {"statement.verb.id": "http://Example.org/verbs"},  # as long as an id
    {"statement.object.id": "http://example.org/it", "statement.result.success": True},
    {"statement.context.contextActivities.parent.id": "http://example.org/course"},
    {"statement.context.contextActivities.parent": {"$elemMatch": {"id": "http://example.org/unit"}}},
    {f"statement.result.extensions.{X.replace('.', '&46;')}": {"$in": [1, 2.5, "one"]}},
    {"statement.actor.account.name": "ana"},
    {"$or": [{"person._id": {"$oid": ANA}}, {"statement.actor.member.mbox": "mailto:ana@example.org"}]},
    {"lrs_id": {"$oid": ANA}, "client": {"$oid": ANA}},
    {"statement.timestamp": {"$in": ["2026-01-01T10:00:00.000Z"]}},
    {"statement.attachments.0.length": 7},
    {"person": {"$oid": ANA}},
    {"metadata.seen.by": {"$oid": ANA}},
    {"metadata.at": {"$dte": "2026-01-01T10:00:00Z"}},
)
"""Of every kind of path that an index may look at."""

VALUES: tuple[Any, ...] = (
    *("http://Example.org/verbs", "http://example.org/it", "http://example.org/course", "http://example.org/unit"),
    *("one", 1, 1.0, 2.5, True, "ana", "mailto:ana@example.org", ANA, ANA.upper(), {"$oid": ANA}, 7),
)
"""What is asked for, to be put anywhere."""

SPELLINGS = (b"1" * 400, b"[" * 70 + b"]" * 70, b'"\\ud800"', b'"\xc3"', '"é"'.encode())

SEEDS: tuple[dict[str, Any], ...] = (
    a_statement_document(
        person={"_id": "59c236a0bdf9ac67b2ab5eef", "display": "Ana"},
        statement=a_statement(
            actor={"objectType": "Agent", "account": {"homePage": "http://example.org", "name": "bob"}},
            verb={"id": "http://example.org/saw", "display": {"en": "saw"}},
            object={"id": "http://example.org/other", "definition": {"name": {"fr": "été"}}},
            result={"score": {"scaled": 0.7, "raw": 7}, "success": False, "extensions": {X: 3}},
            context={"contextActivities": {"parent": [{"id": "http://example.org/chapter"}]}, "platform": "x"},
            attachments=[{"length": 8}],
        ),
    ),
    a_statement_document(statement=a_statement(object={"id": "http://example.org/other"})),
    *STATEMENT_DOCUMENTS[:1],
)


def _matching(change: dict[str, Any], document: dict[str, Any] | None = None) -> bytes:
    return orjson.dumps({**SEEDS[0], "statement": {**SEEDS[0]["statement"], **change}, **(document or {})})


MATCHING = (
    _matching({"verb": {"id": "http://Example.org/verbs"}}),
    _matching({"object": {"id": "http://example.org/it"}, "result": {"success": True}}),
    _matching({"context": {"contextActivities": {"parent": {"id": "http://example.org/course"}}}}),
    _matching({"context": {"contextActivities": {"parent": [{"id": "x"}, {"id": "http://example.org/unit"}]}}}),
    _matching({"result": {"extensions": {X.replace(".", "&46;"): 2.5}}}),
    _matching({"actor": {"account": {"homePage": "http://example.org", "name": "ana"}}}),
    _matching({}, {"person": {"_id": ANA.upper()}}),
    _matching({}, {"lrs_id": ANA.upper(), "client": ANA}),
    _matching({}, {"timestamp": "2026-01-01T11:00:00.0004+01:00"}),
    _matching({"attachments": [{"length": 7}]}),
    _matching({}, {"person": {"$oid": ANA}}),
    _matching({}, {"metadata": {"seen": [1, {"by": {"$oid": ANA.upper()}}]}}),
    _matching({}, {"metadata": {"at": [{"$date": 1767261600000}]}}),
)
"""What each of these queries asks for, in another spelling where there is one."""


def index_of(conditions: Iterable[dict[str, Any]]) -> JourneyIndex:
    journeys = (a_journey(waypoints=[{"_id": ObjectId(), "conditions": it, "count": 1}]) for it in conditions)
    return JourneyIndex(map(compile_journey, journeys))


INDEXES = (*(index_of([asked]) for asked in ASKED), index_of(ASKED), index_of([]))


def positions(index: JourneyIndex, values: Sequence[bytes | None], leave_out: LeaveOut | None = None) -> list[int]:
    return [position for position, _ in index.glance.unsettled(values, leave_out)]


def settles(index: JourneyIndex, value: bytes | None) -> bool:
    """Tell whether a glance settles it; if so, reading it whole has to give one statement without a match.

    If not, and it is sighted, then reading it whole has to come to the same; and so where it is sighted at once.
    """
    is_sighted_right_at_once(index, value)
    for _, things in index.glance.unsettled([value]):
        if things is not None and value is not None:
            is_sighted_right(index, value, things)
        return False
    [found] = decode(Record("statements", 0, 0, 1, value), Tenancy())
    if isinstance(found, Rejected):
        assert value is not None
        assert found.reason == Reason.TOO_DEEP or (found.reason == Reason.NOT_JSON and has_vast_number(value)), found
    else:
        assert not index.matches(found)
    return True


def planted(value: Any, dice: random.Random) -> Any:
    """Put something that is asked for in the place of a scalar, alone or in an array."""
    if isinstance(value, dict) and value:
        key = dice.choice(list(value))
        return {**value, key: planted(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.8:
        return [*value[1:], planted(value[0], dice)]
    return dice.choice((dice.choice(VALUES), [dice.choice(VALUES)], {"id": dice.choice(VALUES)}))


@settings(max_examples=200)
@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False))
def test_a_broken_statement(seed: dict[str, Any], dice: random.Random) -> None:
    value = mutated(seed, dice)
    for index in INDEXES:
        settles(index, value)


@settings(max_examples=200)
@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False))
def test_what_is_asked_for_is_found_wherever_it_stands(seed: dict[str, Any], dice: random.Random) -> None:
    value = orjson.dumps(planted(seed, dice))
    for encoded in (value, value.replace(b"x.y", b"x&46;y"), value.replace(b"a", b"\\u0061")):
        for index in INDEXES:
            settles(index, encoded)


@pytest.mark.parametrize(("index", "value"), list(zip(INDEXES, MATCHING, strict=False)))
def test_what_matches_is_read(index: JourneyIndex, value: bytes) -> None:
    [found] = decode(Record("statements", 0, 0, 1, value), Tenancy())
    assert not isinstance(found, Rejected)
    assert index.matches(found)
    assert positions(index, [value]) == [0]


@pytest.mark.parametrize("key", ["timestamp", "stored"])
@pytest.mark.parametrize("time", [*TIMES, "2026-01-01", "2026-01-01T10:00", "2026-01-01 10:00:00,5z", "", None, 5])
def test_a_time(key: str, time: Any) -> None:
    for index in INDEXES:
        settles(index, orjson.dumps({**SEEDS[0], key: time}))


@pytest.mark.parametrize("literal", LITERALS + SPELLINGS)
@pytest.mark.parametrize("place", [b"8", b"0.7", b'"x"', b'"bob"', b"false", b'"Ana"', b'"platform"'])
def test_a_literal_where_nobody_looks(place: bytes, literal: bytes) -> None:
    value = orjson.dumps(SEEDS[0])
    assert place in value
    for index in INDEXES:
        settles(index, value.replace(place, literal))


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "1.0", "data": 5},
        {"lrs_id": "59c236a0bdf9ac67b2ab5ee "},
        {"client": 5},
        {"_id": "59c236a0  bdf9ac67b2ab5e"},
        {"_id": "59c236a0bdf9ac67b2ab5eé9"},
        {"person": {"_id": "5" * 23 + "x"}},
        {"person": [{"_id": "5" * 24}]},
        {"statement": a_statement(actor={"objectType": "Group", "member": []})},
        {"statement": a_statement(actor={"account": "bob"})},
        {"statement": a_statement(object={})},
        {"statement": []},
    ],
)
def test_a_document_that_is_not_usual(change: dict[str, Any]) -> None:
    value = orjson.dumps({**SEEDS[0], **change})
    for index in INDEXES:
        settles(index, value)


def test_of_equal_keys_the_last_counts() -> None:
    value = orjson.dumps(SEEDS[0])
    statement = orjson.dumps(a_statement(object={"id": "http://example.org/it"}, result={"success": True}))
    for again in (b'"statement":', b'"st\\u0061tement":'):
        for index in INDEXES:
            settles(index, value[:-1] + b"," + again + statement + b"}")


@pytest.mark.parametrize("index", [INDEXES[0], INDEXES[-1]])
def test_a_batch_is_looked_at_as_each_of_its_values(index: JourneyIndex) -> None:
    dice = random.Random(7)
    mixed = [mutated(dice.choice(SEEDS), dice) for _ in range(300)]
    others = [orjson.dumps({**SEEDS[0], "organisation": dice.choice((ANA, "no id", ANA.upper()))}) for _ in range(30)]
    values = [*mixed, None, b"", *others, *map(orjson.dumps, SEEDS), *[MATCHING[0]] * 9]
    dice.shuffle(values)
    apart = [place for place, value in enumerate(values) if not settles(index, value)]
    assert positions(index, values) == apart
    assert 10 < len(apart) < len(values) - 10
    assert index.glance.unsettled([]) == []


@pytest.mark.parametrize("index", [*INDEXES[:3], index_of(ASKED[:8])])
def test_each_of_a_batch_comes_with_all_that_it_may_match(index: JourneyIndex) -> None:
    """The right ones: of several tenants, after what cannot be read, and in long batches."""
    dice = random.Random(3)
    others = [orjson.dumps({**SEEDS[0], "organisation": dice.choice((ANA, "no id"))}) for _ in range(60)]
    values = [*MATCHING * 30, *others, *[None, b"", b"{"] * 9, *map(orjson.dumps, SEEDS)]
    dice.shuffle(values)
    together = index.glance.unsettled(values)
    for position, things in together:
        assert [(0, things)] == index.glance.unsettled([values[position]])
        [found] = decode(Record("statements", 0, 0, 1, values[position]), Tenancy())
        if things is not None and not isinstance(found, Rejected):
            assert {id(match) for match in index.matches(found)} <= {id(match) for match in things}
    assert len([things for _, things in together if things]) >= 30


@pytest.mark.parametrize("index", [*INDEXES[:3], index_of(ASKED[:8])])
def test_i1_each_of_a_batch_is_left_out_by_what_was_seen_of_it(index: JourneyIndex) -> None:
    """Not by what was seen of a neighbour: of several tenants, after what cannot be read, and in long batches."""
    dice = random.Random(5)
    documents = [*map(orjson.loads, MATCHING[:10] * 30), *[{**SEEDS[0], "organisation": ANA}] * 60]
    dice.shuffle(documents)
    times = [f"2026-01-01T10:{number // 60:02}:{number % 60:02}.000Z" for number in range(len(documents))]
    dice.shuffle(times)
    dated = [orjson.dumps({**it, "timestamp": time}) for it, time in zip(documents, times, strict=True)]
    values = [it for value in dated for it in ((b"{", None, value) if dice.random() < 0.1 else (value,))]

    def leave_out(held: Sequence[Held[Match]], seen: Sequence[Any]) -> Sequence[Held[Match]]:
        return [(number, things) for number, things in held if seen[number].timestamp.second % 3]

    apart = [place for place, value in enumerate(values) if positions(index, [value], leave_out)]
    assert positions(index, values, leave_out) == apart
    assert len(positions(index, values)) > len(apart) + 5


@pytest.mark.parametrize(("index", "value"), list(zip(INDEXES[:8], MATCHING, strict=False)))
def test_what_is_over_is_told_by_all_that_it_may_match_by_whom_and_when(index: JourneyIndex, value: bytes) -> None:
    [found] = decode(Record("statements", 0, 0, 1, value), Tenancy())
    assert not isinstance(found, Rejected)
    asked: list[tuple[Sequence[Match], Any]] = []

    def leave_out(held: Sequence[Held[Match]], seen: Sequence[Any]) -> Sequence[Held[Match]]:
        asked.extend((things or (), seen[number]) for number, things in held)
        return held if len(asked) > 1 else ()

    assert not index.glance.unsettled([value], leave_out)
    [(things, seen)] = asked
    assert things
    assert {match.waypoint.id for match in index.matches(found)} <= {match.waypoint.id for match in things}
    assert who_in(seen) == inverse_functional_identifier(found.document["statement"]["actor"])
    assert found.timestamp == parse_timestamp(seen.timestamp)
    assert positions(index, [value], leave_out) == [0]


def test_an_actor_without_an_identifier_is_never_over() -> None:
    asked: list[Any] = []
    value = _matching({"verb": {"id": "http://Example.org/verbs"}, "actor": {"objectType": "Group", "member": []}})

    def leave_out(held: Sequence[Held[Any]], seen: Sequence[Any]) -> Sequence[Held[Any]]:
        asked.extend(seen[number] for number, _ in held)
        return ()

    assert positions(INDEXES[0], [value], leave_out) == [0]  # whether it is a statement at all is to be seen
    [seen] = asked
    assert who_in(seen) is None


@needs(CONFORMANCE)
def test_the_conformance_suite() -> None:
    values = [orjson.dumps({**SEEDS[0], "statement": case["statement"]}) for case in lines(CONFORMANCE)]
    settled = [settles(index, value) for index in (INDEXES[0], INDEXES[-1]) for value in values]
    assert sum(settled) > len(values)


@cache
def course() -> tuple[list[bytes], Leaves]:
    statements = lines(COURSE)[::40]
    documents = [{**SEEDS[number % 2], "statement": it} for number, it in enumerate(statements)]
    return list(map(orjson.dumps, documents)), leaves_of(documents)


@needs(COURSE)
@settings(max_examples=40)
@given(data=st.data())
def test_queries_that_people_put_to_a_real_course(data: st.DataObject) -> None:
    values, leaves = course()
    dice = Dice(data.draw)
    index = index_of(dice.some(lambda: in_dialect(a_realistic_query(dice, leaves)), 1, 6))
    for value in values:
        settles(index, value)
