"""What is sighted is what reading the whole record and matching would give (DECISIONS 94)."""

import gc
import random
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any
from weakref import ref

import orjson
import pytest
from bson import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.core.conditions import compile_conditions, texts_of
from processor.core.decode import Tenancy, decode
from processor.core.identity import Identification
from processor.core.index import JourneyIndex
from processor.core.journey import compile_journey
from processor.core.matching import match
from processor.core.records import Record, StatementRecord
from processor.core.sighting import SIZE, sighted, sighted_at_once
from schemas.plain import PlainDocument, plain_documents
from tests.builders import a_journey, a_statement_document
from tests.hostile import LITERALS, TIMES, mutated
from tests.property.test_plain import ACTIVITY, AGENT, BROKEN, FULL, MAIL, with_a_part
from tests.property.whole import is_sighted_right, is_sighted_right_at_once
from tests.unit.schemas.samples import CONFORMANCE, COURSE, lines, needs

VERB, THING, KIND = "statement.verb.id", "statement.object.id", "statement.object.definition.type"
DID, IT = FULL["verb"]["id"], FULL["object"]["id"]
STORE = ObjectId("59c1219936229d4ce9634601")

FOR_TEXTS: tuple[dict[str, Any], ...] = (
    {VERB: DID},
    {VERB: {"$in": [DID, "http://example.org/verbs/other"]}, THING: IT},
    {"$and": [{THING: {"$eq": IT}}, {KIND: FULL["object"]["definition"]["type"]}]},
    {VERB: DID, KIND: {"$in": ["http://example.org/u", ""]}},
    {VERB: DID, THING: "http://example.org/b"},
    {"$and": [{THING: IT}, {THING: "http://example.org/b"}]},
)
FOR_MORE: tuple[dict[str, Any], ...] = (
    {},
    {VERB: {"$ne": DID}},
    {VERB: DID, "statement.result.success": True},
    {THING: "59c236a0bdf9ac67b2ab5ee9"},
    {"$or": [{VERB: DID}, {THING: IT}]},
    {VERB: {"$in": [DID, {"$regularExpression": {"pattern": "did", "options": ""}}]}},
    {VERB: {"$not": {"$eq": DID}}},
    {VERB: {"$all": [DID]}},
    {VERB: None},
)


def journeys(*conditions: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [a_journey(waypoints=[{"_id": ObjectId(), "conditions": it, "count": 1}], **more) for it in conditions]


def index_of(documents: list[dict[str, Any]]) -> JourneyIndex:
    return JourneyIndex(map(compile_journey, documents))


INDEXES = (
    *(index_of(journeys(asked)) for asked in FOR_TEXTS),
    index_of(journeys(*FOR_TEXTS)),
    index_of(journeys(FOR_TEXTS[0], sources=[str(STORE)]) + journeys(FOR_TEXTS[1], trackBy="persona")),
    index_of(journeys(FOR_TEXTS[0], {"statement.actor.name": "Ana"})),
    index_of(journeys(FOR_TEXTS[0], {"statement.result.success": True})),
)

SEED = a_statement_document(statement=FULL, person={"_id": "59c236a0bdf9ac67b2ab5eef", "display": "Ana"}, lrs_id=STORE)
BARE_SEED = a_statement_document(
    statement={**FULL, "actor": {"mbox": "mailto:ana@example.org", "name": "Ána"}, "object": {"id": IT}},
)


def sightings(value: bytes | None) -> int:
    """Return by how many indexes the record is sighted; each has to be right, and so without a glance before."""
    for index in INDEXES:
        is_sighted_right_at_once(index, value)
    held = [(index, things) for index in INDEXES for _, things in index.glance.unsettled([value])]
    return sum(
        is_sighted_right(index, value, things) for index, things in held if things is not None and value is not None
    )


@pytest.mark.parametrize("asked", FOR_TEXTS)
def test_conditions_that_only_ask_for_texts(asked: dict[str, Any]) -> None:
    assert texts_of(compile_conditions(asked)) is not None


@pytest.mark.parametrize("asked", FOR_MORE)
def test_conditions_that_ask_for_more(asked: dict[str, Any]) -> None:
    assert texts_of(compile_conditions(asked)) is None


def test_two_questions_at_one_path_are_both_asked() -> None:
    assert texts_of(compile_conditions(FOR_TEXTS[-1])) == {THING: frozenset()}


def test_what_was_asked_about_is_let_go_of_with_its_journey() -> None:
    conditions = compile_conditions(FOR_TEXTS[0])
    assert texts_of(conditions) is texts_of(conditions)
    predicate = ref(conditions.clause.predicate)
    del conditions
    gc.collect()
    assert predicate() is None


@pytest.mark.parametrize("seed", [SEED, BARE_SEED])
def test_a_plain_statement_is_sighted_where_only_texts_are_asked_for(seed: dict[str, Any]) -> None:
    assert sightings(orjson.dumps(seed, default=str)) >= 8


@pytest.mark.parametrize(("path", "value"), [(path, value) for path, values in BROKEN.items() for value in values])
def test_a_broken_part(path: str, value: Any) -> None:
    statement = with_a_part(path, value)
    sightings(orjson.dumps({**SEED, "statement": statement}, default=str))


@pytest.mark.parametrize("instead", ["", None, {}, [], 0, True, "5" * 24, {"": ""}], ids=repr)
@pytest.mark.parametrize("seed", [SEED, BARE_SEED], ids=["full", "bare"])
def test_any_part_replaced(seed: dict[str, Any], instead: Any) -> None:
    for value in replaced(orjson.loads(orjson.dumps(seed, default=str)), instead):
        sightings(orjson.dumps(value))


def replaced(value: Any, instead: Any) -> Iterator[Any]:
    """Yield the value with each of its parts, at any depth, replaced in turn."""
    yield instead
    for key, child in value.items() if isinstance(value, dict) else ():
        yield from ({**value, key: it} for it in replaced(child, instead))
    for place, child in enumerate(value) if isinstance(value, list) else ():
        yield from ([*value[:place], it, *value[place + 1 :]] for it in replaced(child, instead))


@settings(max_examples=300)
@given(st.sampled_from([SEED, BARE_SEED]), st.randoms(use_true_random=False))
def test_a_broken_statement(seed: dict[str, Any], dice: random.Random) -> None:
    sightings(mutated(orjson.loads(orjson.dumps(seed, default=str)), dice))


@settings(max_examples=100)
@given(st.lists(st.sampled_from([SEED, BARE_SEED]), min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_several_are_sighted_as_each_by_itself(seeds: list[dict[str, Any]], dice: random.Random) -> None:
    """What is asked of all at once is no more and no less than what is asked of one, whatever is among them."""
    plain = [orjson.loads(orjson.dumps(seed, default=str)) for seed in seeds]
    values = [mutated(it, dice) if dice.random() < 0.3 else orjson.dumps(it) for it in plain]
    for index in INDEXES:
        held = index.glance.unsettled(values)
        alone = [sighted([values[position]], [(0, things)])[0] for position, things in held]
        assert sighted(values, held) == alone
        at_once = [sighted_at_once([value], index.glance)[0] for value in values]
        assert sighted_at_once(values, index.glance) == at_once


@pytest.mark.parametrize(("path", "value"), [(path, value) for path, values in BROKEN.items() for value in values])
def test_a_broken_part_among_others_only_leaves_itself_out(path: str, value: Any) -> None:
    broken = {**SEED, "statement": with_a_part(path, value)}
    values = [orjson.dumps(it, default=str) for it in (SEED, broken, BARE_SEED)]
    things = next(things for _, things in INDEXES[0].glance.unsettled(values[:1]))
    found = sighted(values, [(place, things) for place in range(3)])
    assert found[1] is None
    assert found[0] is not None is not found[2]


@pytest.mark.parametrize(
    "change",
    [
        {"_id": "x" * 24},
        {"timestamp": "2026-02-30T10:00:00.000Z"},
        {"stored": "2026-02-30T10:00:00.000Z"},
        {"lrs_id": "x" * 24},
        {"person": {"_id": "x" * 24}},
    ],
    ids=lambda it: next(iter(it)),
)
def test_a_broken_id_or_time_among_others_only_leaves_itself_out(change: dict[str, Any]) -> None:
    values = [orjson.dumps(it, default=str) for it in (SEED, {**SEED, **change}, BARE_SEED)]
    things = next(things for _, things in INDEXES[0].glance.unsettled(values[:1]))
    found = sighted(values, [(place, things) for place in range(3)])
    assert found[1] is None
    assert found[0] is not None is not found[2]


def test_sighted_at_once_is_what_a_glance_would_hold() -> None:
    """Also of a statement that matches nothing, which a glance settles, of another tenant's, and of what is no JSON."""
    other = {**SEED, "statement": {**FULL, "verb": {"id": "http://example.org/verbs/other"}, "object": {"id": "urn:x"}}}
    elsewhere = {**SEED, "organisation": "5" * 24}
    nobody = {**SEED, "organisation": "x" * 24}
    event = {**SEED, "specversion": "1.0"}
    values = [orjson.dumps(it, default=str) for it in (SEED, other, elsewhere, nobody, event)]
    values += [values[0].replace(b'"display":"Ana"', b'"display":"\xc3"'), b"[]", b""]
    index = INDEXES[FOR_TEXTS.index({VERB: DID})]
    found = sighted_at_once([*values, None], index.glance)
    assert [it and len(it.matches) for it in found] == [1, 0, 0, None, None, None, None, None, None]
    assert found[:1] == sighted(values[:1], index.glance.unsettled(values[:1]))


@pytest.mark.parametrize("asked", [FOR_MORE[2], FOR_MORE[5], {"statement.context.platform": "p"}])
def test_nothing_is_sighted_at_once_that_may_match_what_asks_for_more(asked: dict[str, Any]) -> None:
    value = orjson.dumps(SEED, default=str)
    assert sighted_at_once([value], index_of(journeys(asked)).glance) == [None]


def test_only_so_many_bytes_are_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read takes many times as much memory; a piece of large statements is not to take it all at once."""
    extensions = {"http://example.org/e": ["ab"] * 60_000}
    large = orjson.dumps({**SEED, "statement": {**FULL, "result": {"extensions": extensions}}}, default=str)
    values = [large] * 2 * (SIZE // len(large))
    together: list[int] = []

    def counting(values: Sequence[bytes]) -> list[PlainDocument | None]:
        together.append(sum(map(len, values)))
        return plain_documents(values)

    monkeypatch.setattr("processor.core.sighting.plain_documents", counting)
    assert all(sighted(values, INDEXES[0].glance.unsettled(values)))
    assert max(together) <= SIZE < sum(together) == sum(map(len, values))


@pytest.mark.parametrize("key", ["timestamp", "stored"])
@pytest.mark.parametrize("time", [*TIMES, "2026-01-01", "2026-01-01T10:00", "2026-01-01 10:00:00,5z", "", None, 5])
def test_a_time(key: str, time: Any) -> None:
    sightings(orjson.dumps({**SEED, key: time}, default=str))
    sightings(orjson.dumps({**SEED, "statement": {**FULL, key: time}}, default=str))


DEEP = b"[" * 70 + b"]" * 70


@pytest.mark.parametrize("literal", [*LITERALS, b"1" * 400, DEEP, b'"\\ud800"', b'"\xc3"', '"é"'.encode()])
@pytest.mark.parametrize("place", [b'"Ana"', b"1.5", b'"p"', b'{"x":1}', b"null", b"true", b'"did"', b'"a"'])
def test_a_literal(place: bytes, literal: bytes) -> None:
    value = orjson.dumps(SEED, default=str)
    assert place in value
    sightings(value.replace(place, literal))


@pytest.mark.parametrize(
    "change",
    [
        {"voided": True},
        {"voided": 1},
        {"voided": None},
        {"person": {"_id": "5" * 23 + "x"}},
        {"person": {"_id": None}},
        {"person": {"_id": {"$oid": "5" * 24}}},
        {"person": "Ana"},
        {"person": [{"_id": "5" * 24}]},
        {"lrs_id": None},
        {"lrs_id": "59C1219936229D4CE9634601"},
        {"specversion": "1.0", "data": 5},
        {"metadata": {"a&46;b": 1}},
        {"_id": "59C236A0BDF9AC67B2AB5EEF"},
    ],
)
def test_what_stands_beside_the_statement(change: dict[str, Any]) -> None:
    sightings(orjson.dumps({**SEED, **change}, default=str))


@pytest.mark.parametrize(
    "more",
    [
        {"hash": "0" * 40, "agents": ["a"], "verbs": [], "metadata": {"https://x&46;y": 1.5}, "active": True},
        {"person": {"_id": None, "name": "Ana"}, "hasGeneratedId": False, "personaIdentifier": None},
        {"more": {"x": [{}]}},
        {"metadata": {"x": [1]}, "agents": [{}]},
        {"person": {"_id": None, "more": [1]}},
    ],
)
def test_what_learning_locker_keeps_beside_a_statement_and_what_it_does_not(more: dict[str, Any]) -> None:
    """Among others that have nothing of it, before and after, too."""
    there, usual = ({**SEED, **it} for it in (more, {}))
    value, other = (orjson.dumps(it, default=str) for it in (there, usual))
    assert sightings(value) >= 8
    for values in ([value, other], [other, value, b"[]", other], [b"", value, other]):
        assert sighted_at_once(values, INDEXES[0].glance) == [
            sighted_at_once([it], INDEXES[0].glance)[0] for it in values
        ]


@pytest.mark.parametrize("depth", [*range(1, 8), *range(50, 70), 500, 100_000])
@pytest.mark.parametrize("place", ["result", "definition", "around", "metadata", "more", "person", "actor"])
def test_no_depth_is_passed_over(place: str, depth: int) -> None:
    """Wherever it is, as arrays and as objects, a record that is too deep is not sighted."""
    value = orjson.dumps(with_something_at(place), default=str)
    for deep in (b"[" * depth + b"]" * depth, b'{"x":' * depth + b"1" + b"}" * depth):
        found = sightings(value.replace(b'"here"', deep))
        assert found >= 8 or depth > 3 or place == "actor"
        assert not found or depth < 64


def with_something_at(place: str) -> dict[str, Any]:
    extensions = {"urn:x": "here"}
    activity = {**ACTIVITY, "definition": {"extensions": extensions}}
    statements: dict[str, dict[str, Any]] = {
        "result": {"result": {"extensions": extensions}},
        "definition": with_a_part("object.definition.extensions", extensions),
        "around": {"context": {"contextActivities": {"other": [activity]}}},
        "actor": {"actor": {**AGENT, "name": "here"}},
    }
    beside: dict[str, dict[str, Any]] = {"person": {"person": {"_id": None, "x": "here"}}}
    there = {} if place in statements else beside.get(place, {place: "here"})
    return {**SEED, "statement": {**FULL, **statements.get(place, {})}, **there}


@pytest.mark.parametrize(
    ("plain", "escaped"),
    [(b"http://example.org/e", b"http://example&46;org/e"), (b'"http:', b'"\\u0068ttp:'), (b'"Ana"', b'"\\u00c1na"')],
)
def test_escapes_are_plain(plain: bytes, escaped: bytes) -> None:
    """As Learning Locker keeps dots in keys, and as producers write who write nothing but ASCII."""
    value = orjson.dumps(SEED, default=str)
    assert plain in value
    assert sightings(value.replace(plain, escaped)) >= 8


@pytest.mark.parametrize("name", ["a&46;b", "a.b", "&46;"])
def test_dots_in_keys(name: str) -> None:
    extensions = {f"http://example.org/{name}": 1, f"urn:{name}": 2}
    value = orjson.dumps({**SEED, "statement": {**FULL, "result": {"extensions": extensions}}}, default=str)
    sightings(value)
    sightings(value.replace(b"&", b"\\u0026"))


def test_segments_that_were_watched_are_not_taken_for_depth() -> None:
    """As the xAPI video profile writes them: brackets in a text."""
    segments = "[,]".join(f"{second}[.]{second + 5}" for second in range(0, 1_000, 10))
    extensions = {"https://w3id.org/xapi/video/extensions/played-segments": segments}
    value = orjson.dumps({**SEED, "statement": {**FULL, "result": {"extensions": extensions}}}, default=str)
    assert sightings(value) >= 8
    assert not sightings(value.replace(b'"0[.]5', DEEP + b',"https://w3id.org/more":"0[.]5'))


def test_of_equal_keys_the_last_counts() -> None:
    value = orjson.dumps(SEED, default=str)
    for again in (b'"verb":{"id":"http://example.org/no"}', b'"object":{"id":"' + IT.encode() + b'"}', b'"actor":{}'):
        found = value.replace(b'"statement":{', b'"statement":{' + again + b",")
        last = value.replace(b'"version":', again + b',"version":')
        assert found != value != last
        sightings(found)
        sightings(last)


def test_a_part_that_was_judged_before_is_judged_the_same() -> None:
    broken = orjson.dumps({**SEED, "statement": {**FULL, "authority": {"mbox": "x"}}}, default=str)
    for value in (orjson.dumps(SEED, default=str), broken) * 3:
        assert bool(sightings(value)) == (value is not broken)


def test_matching_what_was_sighted_is_matching_what_was_read() -> None:
    """Whose evidence it is, too: of one actor with two personas, of several journeys, in one batch."""
    index = index_of(journeys(*FOR_TEXTS) + journeys(*FOR_TEXTS[:2], trackBy="persona"))
    actors = [AGENT, {**AGENT, "name": "Anna"}, MAIL]
    people = [None, {"_id": "59c236a0bdf9ac67b2ab5eef"}, {"_id": "59c236a0bdf9ac67b2ab5ee0"}]
    values = [
        orjson.dumps(
            {**SEED, "_id": f"{number:024x}", "person": person, "statement": {**FULL, "actor": actor}}, default=str
        )
        for number, (actor, person) in enumerate(product(actors * 3, people))
    ]
    seen = sighted(values, index.glance.unsettled(values))
    read = [record for value in values for record in decode(Record("statements", 0, 0, 1, value), Tenancy())]
    for lowercase in (False, True):
        identification = Identification(lowercase_actors=lowercase)
        matched = match([it for it in seen if it], index, identification)
        assert len(matched.appends) > 9
        assert matched == match([it for it in read if isinstance(it, StatementRecord)], index, identification)


@needs(CONFORMANCE)
def test_the_conformance_suite() -> None:
    verbs = [{VERB: it} for it in {verb_of(case["statement"]) for case in lines(CONFORMANCE)} if isinstance(it, str)]
    index = index_of(journeys(*verbs))
    found = 0
    for case in lines(CONFORMANCE):
        value = orjson.dumps({**BARE_SEED, "statement": case["statement"]}, default=str)
        for _, things in index.glance.unsettled([value]):
            found += things is not None and is_sighted_right(index, value, things)
    assert found > 10


def verb_of(statement: Any) -> Any:
    verb = statement.get("verb") if isinstance(statement, dict) else None
    return verb.get("id") if isinstance(verb, dict) else None


@needs(COURSE)
def test_most_statements_of_a_real_course_are_sighted() -> None:
    statements = lines(COURSE)[::20]
    index = index_of(journeys(*({VERB: it} for it in {statement["verb"]["id"] for statement in statements})))
    found = 0
    for statement in statements:
        value = orjson.dumps({**BARE_SEED, "statement": statement}, default=str)
        for _, things in index.glance.unsettled([value]):
            found += things is not None and is_sighted_right(index, value, things)
    assert found > len(statements) * 0.9
