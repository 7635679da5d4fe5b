"""Hostile records on real servers: none stops the stream, and none reaches MongoDB as anything but data."""

import asyncio
import random
from collections.abc import Mapping
from typing import Any

import bson
import orjson
import pytest
from bson.codec_options import CodecOptions

from processor.app import Part, run_processor
from processor.core.decode import Tenancy, decode
from processor.core.identity import Identification, statement_reference
from processor.core.matching import match
from processor.core.records import Record, Rejected
from processor.opening import open_stores
from processor.operating import apply_journeys, create_all_topics
from processor.settings import Settings
from processor.store.connect import PROGRESSES, STATEMENTS, Database
from processor.store.progress import MongoProgressStore
from schemas.dots import encode_dots
from schemas.journey import with_ids
from tests.acceptance.world import header, produce, read_all, until_quiet
from tests.builders import ORGANISATION, a_statement, at
from tests.hostile import KEYS, broad_journeys, mutated, thing

TENANCY = Tenancy(ORGANISATION, None)
AWARE: CodecOptions[Mapping[str, Any]] = CodecOptions(tz_aware=True)


def with_extensions(number: int, dice: random.Random) -> bytes:
    """A good statement of a learner of its own, with anything at all in its extensions."""
    wild = {f"http://example.org/{dice.choice(KEYS[:-1]).encode('unicode_escape').decode()}": thing(dice)}
    statement = a_statement(number, actor={"mbox": f"mailto:a-{number}@example.org"}, result={"extensions": wild})
    return mutated(statement, dice) if dice.random() < 0.2 else orjson.dumps(statement, default=str)


def hostile(number: int, dice: random.Random) -> bytes:
    try:
        return with_extensions(number, dice)
    except TypeError:  # orjson does not write what no JSON can hold: then another one
        return hostile(number, dice)


async def test_what_passes_is_written_and_read_back_as_it_was(mongo_database: Database) -> None:
    """Keys with `$`, dots and nothing, numbers and dates at their ends: MongoDB stores them, or they are rejected."""
    dice = random.Random(20)
    records = [Record("t", 0, number, 1, hostile(number, dice)) for number in range(600)]
    decoded = [it for record in records for it in decode(record, TENANCY)]
    statements = [it for it in decoded if not isinstance(it, Rejected)]
    matched = match(statements, broad_journeys(), Identification())
    assert len(matched.kept) > 200
    await MongoProgressStore(mongo_database).append(matched.appends, matched.kept, at(0))
    found = {document["_id"]: document async for document in mongo_database[STATEMENTS].find()}
    for record in matched.kept:
        written = {**record.document, "statement": encode_dots(record.document["statement"])}
        assert bson.encode(found[record.reference]) == bson.encode(bson.decode(bson.encode(written), AWARE))
    progresses = {document["_id"]: document async for document in mongo_database[PROGRESSES].find()}
    assert progresses.keys() == {append.progress for append in matched.appends}
    for append in matched.appends:
        assert progresses[append.progress]["owner"]["ident"] == append.owner.ident


JOURNEY = with_ids(
    {
        "organisation": str(ORGANISATION),
        "description": "One thing",
        "isActive": True,
        "waypoints": [{"conditions": {"statement.verb.id": "http://example.org/did"}}],
    }
)

POISON: tuple[Any, ...] = (
    b"",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b"{" * 70 + b"}" * 70,
    b'{"actor": NaN}',
    b'"\\ud800"',
    [[[[[[a_statement(1)]]]]]],
    a_statement(1, actor={"mbox": "mailto:a@example.org", "$set": {"isCompleted": True}}),
    a_statement(1, timestamp="0000-01-01T00:00:00Z"),
    a_statement(1, timestamp="2026-01-01T00:00:00+99:99"),
    a_statement(1, result={"extensions": {"http://example.org/\0": 1}}),
    a_statement(1, result={"extensions": {"http://example.org/x": 2**64 - 1}}),
    a_statement(1, result={"extensions": {"http://example.org/x": [1] * 1_500_000}}),
    a_statement(1, actor={"mbox": "mailto:a@example.org", "name": "a" * 2_000_000}),
    b'{"a": "' + b"x" * 9_900_000 + b'"}',
)
STRANGE: tuple[Any, ...] = (
    a_statement(2, timestamp="9999-12-31T23:59:59.999Z", actor={"mbox": "mailto:2@example.org"}),
    a_statement(3, timestamp="0001-01-01T00:00:00Z", actor={"mbox": "mailto:3@example.org"}),
    a_statement(4, actor={"mbox": "mailto:4@example.org", "name": "\0 $where"}),
    a_statement(
        5,
        actor={"mbox": "mailto:5@example.org"},
        result={"extensions": {"http://a.b/$set": {"$set": {"a": 1}, "": 2, "a.b": {"$ref": "x"}}}},
    ),
    orjson.dumps(a_statement(6, actor={"mbox": "mailto:6@example.org"}))[:-1]
    + b', "version": "2.0", "version": "1.0.0"}',
)
"""What is odd but good: it counts."""


@pytest.mark.slow
async def test_i3_a_topic_of_poison_between_good_statements_is_worked_off(
    settings: Settings, mongo_database: Database
) -> None:
    await create_all_topics(settings)
    await apply_journeys(settings, [JOURNEY])
    good = [a_statement(number, actor={"mbox": f"mailto:{number}@example.org"}) for number in range(100, 200)]
    odd = (*POISON, *STRANGE)
    await produce(settings, [it for pair in zip(good, odd, strict=False) for it in pair] + good[len(odd) :])
    await produce(settings, good[:1], [("organisation", b"\xff"), ("lrs_id", b"")])
    stop = asyncio.Event()
    running = asyncio.create_task(run_processor(settings, tuple(Part), stop))
    try:
        await until_quiet(settings)
    finally:
        stop.set()
        await running
    async with open_stores(settings) as stores:
        documents = [document async for document in stores.reader.find(limit=1_000)]
    assert {document["owner"]["ident"]["mbox"] for document in documents} == {
        f"mailto:{number}@example.org" for number in (*range(2, 7), *range(100, 200))
    }
    assert all(document["isCompleted"] for document in documents)
    letters = await read_all(settings, settings.dead_letters_topic)
    poison = [it if isinstance(it, bytes) else orjson.dumps(it) for it in POISON]
    assert sorted(letter.value for letter in letters) == sorted([*poison, orjson.dumps(good[0])])
    assert {header(letter, "dead-letter-reason") for letter in letters} >= {
        "empty",
        "not-json",
        "unwritable",
        "invalid-id",
    }
    assert await mongo_database[STATEMENTS].count_documents({"_id": statement_reference(a_statement(1)["id"])}) == 0
