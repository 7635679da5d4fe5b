"""Whatever lies in the topic: decoding and matching never raise, and let nothing through that MongoDB cannot hold."""

import random
from typing import Any

import bson
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from processor.core.decode import Tenancy, decode
from processor.core.evidence import Append
from processor.core.identity import Identification
from processor.core.letters import explanation
from processor.core.matching import Matched, match
from processor.core.records import Record, Rejected
from processor.store.updates import append_update
from schemas.dots import encode_dots
from tests.builders import ORGANISATION, a_statement, at
from tests.golden import STATEMENT_DOCUMENTS
from tests.hostile import LITERALS, broad_journeys, mutated

TENANCY = Tenancy(ORGANISATION, None)
JOURNEYS = broad_journeys()
LARGEST = 16_777_216
"""Bytes of a BSON document that MongoDB takes."""

GROUP = {"objectType": "Group", "member": [{"mbox": "mailto:a@example.org"}, {"openid": "http://example.org/b"}]}
RICH: dict[str, Any] = a_statement(
    actor={"objectType": "Agent", "name": "Ana", "account": {"homePage": "http://example.org", "name": "ana"}},
    result={"score": {"scaled": 0.7, "raw": 7}, "extensions": {"http://example.org/x.y": {"$set": 1}}},
    context={"contextActivities": {"parent": [{"id": "http://example.org/course"}]}, "platform": "x"},
)
SEEDS = (
    RICH,
    a_statement(actor=GROUP),
    *STATEMENT_DOCUMENTS[:1],
    [a_statement(1), RICH],
    {"specversion": "1.0", "type": "x", "source": "y", "id": "z", "data": RICH},
)


def through(value: bytes | None, headers: tuple[tuple[str, bytes], ...] = (), timestamp: int = 1) -> Matched:
    """Decode and match a record as ingest does, and judge what comes out."""
    record = Record("statements", 0, 0, timestamp, value, None, headers)
    decoded = decode(record, TENANCY)
    rejected = [it for it in decoded if isinstance(it, Rejected)]
    statements = [it for it in decoded if not isinstance(it, Rejected)]
    matched = match(statements, JOURNEYS, Identification(count_group_members=True))
    for entry in [*rejected, *matched.rejected]:
        assert explanation(entry)
    for kept in matched.kept:
        encoded = bson.encode({**kept.document, "statement": encode_dots(kept.document["statement"])})
        assert len(encoded) <= LARGEST
    assert all(map(is_writable, matched.appends))
    return matched


def is_writable(append: Append) -> bool:
    update = append_update(append, at(0))
    return len(bson.encode(update._doc)) < LARGEST / 8  # type: ignore[arg-type]  # ours is a mapping, never a pipeline


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xef\xbb\xbf{}")
def test_any_bytes(value: bytes) -> None:
    through(value)


@settings(max_examples=300)
@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False))
def test_any_mutated_statement(seed: Any, dice: random.Random) -> None:
    through(mutated(seed, dice))


@given(st.lists(st.tuples(st.sampled_from(["organisation", "lrs_id", "ce_type"]), st.binary(max_size=30))))
def test_any_headers(headers: list[tuple[str, bytes]]) -> None:
    through(b'{"actor":{"mbox":"mailto:a@b.org"},"verb":{"id":"http://x.org"},"object":{"id":"http://y.org"},"id":"z"}')
    through(orjson.dumps(a_statement()), tuple(headers))


@given(st.integers(-(2**63), 2**63 - 1))
@example(2**63 - 1)
@example(-(2**63))
def test_any_timestamp_of_the_record(timestamp: int) -> None:
    statement = {key: value for key, value in a_statement().items() if key != "timestamp"}
    through(orjson.dumps(statement), timestamp=timestamp)


@pytest.mark.parametrize("literal", LITERALS)
def test_a_literal_that_is_no_json_is_a_dead_letter(literal: bytes) -> None:
    assert all(isinstance(it, Rejected) for it in decode(Record("t", 0, 0, 1, b'{"a":' + literal + b"}"), TENANCY))


def text_of(statement: Any) -> bytes:
    return orjson.dumps(statement)


def test_a_statement_that_grows_beyond_a_document_is_a_dead_letter() -> None:
    """Two bytes of JSON are twelve of BSON: 3 MB come to more than 16."""
    small = a_statement(result={"extensions": {"http://example.org/x": [1] * 1_000}})
    assert through(text_of(small)).kept
    large = a_statement(result={"extensions": {"http://example.org/x": [1] * 1_500_000}})
    (rejected,) = through(text_of(large)).rejected
    assert rejected.reason == "unwritable"


def test_dots_that_are_escaped_can_make_a_statement_too_large() -> None:
    keys = {f"http://example.org/{number:06d}" + "." * 200: 1 for number in range(25_000)}
    (rejected,) = through(text_of(a_statement(result={"extensions": keys}))).rejected
    assert rejected.reason == "unwritable"


def test_an_actor_that_would_fill_its_progress_document_is_a_dead_letter() -> None:
    """Every document and every event of the owner carries the actor, and evidence has to find room beside it."""
    actor = {"mbox": "mailto:ana@example.org", "name": "a" * 10_000_000}
    (rejected,) = through(text_of(a_statement(actor=actor))).rejected
    assert rejected.reason == "unwritable"
    document = {**STATEMENT_DOCUMENTS[0], "statement": a_statement(actor=actor)}
    (rejected,) = through(text_of(document)).rejected
    assert rejected.reason == "unwritable"
