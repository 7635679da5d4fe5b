"""Why a record is refused: every reason of the closed list, its sentence, and the way it is told (I3)."""

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from processor.core.decode import decode
from processor.core.index import JourneyIndex
from processor.core.matching import match
from processor.core.records import Reason, Rejected
from schemas.depth import DEPTH_LIMIT
from tests.builders import a_record, a_statement, a_statement_document, journey_rules
from tests.unit.core.decoding import NOBODY, OURS, refused, statement_in, without
from tests.unit.core.matching import MATCHING, PLAIN

ANA = {"mbox": "mailto:ana@example.org"}


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


def statement(**changes: Any) -> dict[str, Any]:
    return {**a_statement(), **changes}


DECODING: list[tuple[Reason, Any, str]] = [
    (Reason.EMPTY, None, "no value"),
    (Reason.EMPTY, b"", "no value"),
    (Reason.NOT_JSON, b"not json", "not UTF-8 JSON"),
    (Reason.NOT_JSON, b'{"actor": \xff}', "not UTF-8 JSON"),
    (Reason.NOT_JSON, b'{"a": NaN}', "not UTF-8 JSON"),
    (Reason.NOT_JSON, b'"\\ud800"', "not UTF-8 JSON"),
    (Reason.NOT_JSON, b"[" * 100_000, "not UTF-8 JSON"),
    (Reason.TOO_DEEP, nested(DEPTH_LIMIT + 1), f"{DEPTH_LIMIT} levels"),
    (Reason.TOO_DEEP, b"[" * (DEPTH_LIMIT + 1) + b"]" * (DEPTH_LIMIT + 1), f"{DEPTH_LIMIT} levels"),
    (Reason.TOO_DEEP, b'["[.]",' * (DEPTH_LIMIT + 1) + b"1" + b"]" * (DEPTH_LIMIT + 1), f"{DEPTH_LIMIT} levels"),
    (Reason.WRONG_SHAPE, b'"a string"', "a string"),
    (Reason.WRONG_SHAPE, b"17", "a number"),
    (Reason.WRONG_SHAPE, b"1.5", "a number"),
    (Reason.WRONG_SHAPE, b"true", "a boolean"),
    (Reason.WRONG_SHAPE, b"null", "null"),
    (Reason.WRONG_SHAPE, {"hello": "world"}, "neither a statement document"),
    (Reason.WRONG_SHAPE, {"statement": "an id"}, "neither a statement document"),
    (Reason.WRONG_SHAPE, nested(DEPTH_LIMIT), "neither a statement document"),  # as deep as it may be
    (Reason.WRONG_SHAPE, {"specversion": "1.0", "data": "text"}, "a string"),
    (Reason.NO_TENANT, without(a_statement_document(), "organisation"), "`organisation` is missing"),
    (Reason.NO_TENANT, a_statement_document(organisation=None), "`organisation` is missing"),
    (Reason.INVALID_ID, without(a_statement_document(), "_id"), "`_id` is missing"),
    (Reason.INVALID_ID, a_statement_document(_id="59198183"), "`_id`: '59198183'"),
    (Reason.INVALID_ID, a_statement_document(organisation="us"), "`organisation`: 'us'"),
    (Reason.INVALID_ID, a_statement_document(lrs_id=5), "`lrs_id`: 5"),
    (Reason.INVALID_ID, a_statement_document(client={"$oid": 5}), "`client`: "),
    (Reason.INVALID_ID, a_statement_document(person={"_id": "x"}), "`_id`: 'x'"),
    (Reason.INVALID_ID, without(a_statement(), "id"), "a repeated delivery would count twice"),
    (Reason.INVALID_ID, statement(id=""), "a repeated delivery would count twice"),
    (Reason.INVALID_ID, statement(id=17), "a repeated delivery would count twice"),
    (Reason.INVALID_TIMESTAMP, statement(timestamp="yesterday"), "`statement.timestamp`: 'yesterday'"),
    (Reason.INVALID_TIMESTAMP, statement(timestamp="2026-01-01T10:00:00"), "without a zone"),
    (Reason.INVALID_TIMESTAMP, statement(timestamp=1767261600000), "`statement.timestamp`: 1767261600000"),
    (Reason.INVALID_TIMESTAMP, statement(stored=""), "`statement.stored`: ''"),
    (Reason.INVALID_TIMESTAMP, a_statement_document(timestamp="2026-13-01T10:00:00Z"), "`timestamp`: "),
    (Reason.INVALID_TIMESTAMP, a_statement_document(stored={"$date": "x"}), "`stored`: 'x'"),
    (Reason.INVALID_ACTOR, statement(actor={}), "no mbox, mbox_sha1sum, openid or account"),
    (Reason.INVALID_ACTOR, statement(actor="ana"), "no mbox"),
    (Reason.INVALID_ACTOR, statement(actor={"mbox": ""}), "no mbox"),
    (Reason.INVALID_ACTOR, statement(actor={"account": {"name": "ana"}}), "no mbox"),
    (Reason.INVALID_ACTOR, statement(actor={"objectType": "Group"}), "no mbox"),
    (Reason.INVALID_ACTOR, statement(actor={"objectType": "Group", "member": ["ana"]}), "no mbox"),
    (Reason.INVALID_ACTOR, statement(actor={"member": [ANA]}), "no mbox"),
    (Reason.INVALID_VERB, statement(verb={}), "`verb` has no `id`"),
    (Reason.INVALID_VERB, statement(verb={"id": ""}), "`verb` has no `id`"),
    (Reason.INVALID_VERB, statement(verb="http://example.org/did"), "`verb` has no `id`"),
    (Reason.INVALID_OBJECT, statement(object={}), "`object` is not"),
    (Reason.INVALID_OBJECT, statement(object="http://example.org/it"), "`object` is not"),
    (Reason.INVALID_ACTOR, a_statement_document(statement={}), "no mbox"),
]

MATCHED: list[tuple[Reason, dict[str, Any], str]] = [
    (Reason.INVALID_STATEMENT, {"result": {"score": {"scaled": 2}}}, "result.score.scaled"),
    (Reason.INVALID_STATEMENT, {"actor": {"mbox": "ana@example.org"}}, "actor"),
    (Reason.INVALID_STATEMENT, {"unknown": True}, "unknown"),
    (Reason.UNWRITABLE, {"result": {"extensions": {"http://example.org/n": 2**63}}}, "MongoDB cannot hold it"),
    (Reason.UNWRITABLE, {"result": {"extensions": {"http://example.org/n": {"\0": 1}}}}, "MongoDB cannot hold it"),
]


@pytest.mark.parametrize(("reason", "value", "says"), DECODING, ids=[f"{it[0]}-{it[2]}" for it in DECODING])
def test_i3_what_cannot_be_read_is_refused_with_its_reason(reason: Reason, value: Any, says: str) -> None:
    rejected = refused(value)
    assert rejected.reason == reason
    assert says in rejected.message
    assert rejected.item is None
    assert rejected.record.value == (value if isinstance(value, bytes | None) else orjson.dumps(value))


@pytest.mark.parametrize(("reason", "changes", "says"), MATCHED, ids=[f"{it[0]}-{it[2]}" for it in MATCHED])
def test_i3_what_matches_and_fails_is_refused_with_its_reason(
    reason: Reason, changes: dict[str, Any], says: str
) -> None:
    matched = match([statement_in(statement(**changes))], JourneyIndex([journey_rules((0, 1))]), PLAIN)
    assert (matched.appends, matched.kept, matched.matches) == ([], [], 0)
    [rejected] = matched.rejected
    assert rejected.reason == reason
    assert says in rejected.message


def test_every_reason_of_the_closed_list_is_reached() -> None:
    assert {entry[0] for entry in [*DECODING, *MATCHED]} == set(Reason) - {Reason.UNREADABLE}


def test_a_record_that_the_client_could_not_read_is_refused_whatever_its_value() -> None:
    unreadable = replace(a_record(orjson.dumps(a_statement())), is_readable=False)
    [rejected] = decode(unreadable, OURS)
    assert isinstance(rejected, Rejected)
    assert rejected.reason == Reason.UNREADABLE


def test_a_bare_statement_without_a_tenant_names_the_header_and_the_setting() -> None:
    rejected = refused(a_statement(), NOBODY)
    assert rejected.reason == Reason.NO_TENANT
    assert "`organisation`" in rejected.message
    assert "DEFAULT_ORGANISATION" in rejected.message


@pytest.mark.parametrize("name", ["organisation", "lrs_id"])
@pytest.mark.parametrize("value", [b"us", b"\xff\xfe", b""])
def test_a_wrong_header_is_named_and_no_default_takes_its_place(name: str, value: bytes) -> None:
    rejected = refused(a_statement(), OURS, headers=[(name, value)])
    assert rejected.reason == Reason.INVALID_ID
    assert f"record header `{name}`" in rejected.message


def test_an_anonymous_group_may_pass_as_it_may_count_for_its_members() -> None:
    group = {"objectType": "Group", "member": [ANA]}
    assert statement_in(statement(actor=group)).document["statement"]["actor"] == group


def test_only_statements_that_match_are_held_to_the_full_model() -> None:
    wrong = statement(verb={"id": "http://example.org/else"}, result={"score": {"scaled": 2}})
    assert match([statement_in(wrong)], JourneyIndex([journey_rules((0, 1))]), PLAIN).rejected == []
    assert match([statement_in({**wrong, **MATCHING})], JourneyIndex([journey_rules((0, 1))]), PLAIN).rejected
