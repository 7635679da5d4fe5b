"""The four record shapes of semantics.md, section 1, and whose statements they hold."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from bson import ObjectId

from processor.core.decode import Tenancy, stored_statement
from processor.core.identity import statement_reference
from processor.core.records import Reason
from tests.builders import ORGANISATION, START, a_reference, a_statement, a_statement_document
from tests.unit.core.decoding import NOBODY, decoded, outcomes, refused, statement_in

OTHER = ObjectId("5919818300000000000000ff")
STORE = ObjectId("59c236a0bdf9ac67b2ab5ee7")


def an_event(data: Any, **attributes: Any) -> dict[str, Any]:
    """A structured CloudEvent."""
    return {"specversion": "1.0", "id": "1", "source": "/lrs", "type": "statement", "data": data, **attributes}


def test_a_statement_document() -> None:
    found = statement_in(a_statement_document(7), NOBODY)
    assert (found.reference, found.organisation, found.store) == (a_reference(7), ORGANISATION, STORE)
    assert found.is_bare is False
    assert found.timestamp == START
    assert found.document["_id"] == a_reference(7)
    assert found.document["client"] == ObjectId("59c236a0bdf9ac67b2ab5ee8")
    assert found.document["statement"] == a_statement(7)
    assert found.document["timestamp"] == found.document["stored"] == START


def test_a_document_is_its_own_tenants_whatever_the_headers_and_settings_say() -> None:
    headers = [("organisation", str(OTHER).encode()), ("lrs_id", str(OTHER).encode())]
    found = statement_in(a_statement_document(), Tenancy(OTHER, OTHER), headers=headers)
    assert (found.organisation, found.store) == (ORGANISATION, STORE)


def test_a_document_keeps_what_conditions_may_ask_for() -> None:
    document = a_statement_document(
        person={"_id": str(OTHER), "display": "Ana"}, voided=True, hash="f00", relatedStatements=["a"]
    )
    found = statement_in(document).document
    assert found["person"] == {"_id": OTHER, "display": "Ana"}
    assert (found["voided"], found["hash"], found["relatedStatements"]) == (True, "f00", ["a"])


def test_a_document_without_a_store_has_none() -> None:
    assert statement_in(a_statement_document(lrs_id=None, client=None)).store is None


def test_a_bare_statement_by_headers() -> None:
    headers = [("organisation", str(OTHER).encode()), ("lrs_id", str(STORE).encode())]
    found = statement_in(a_statement(3), Tenancy(ORGANISATION, OTHER), headers=headers)
    assert (found.organisation, found.store, found.is_bare) == (OTHER, STORE, True)
    assert found.reference == statement_reference(a_statement(3)["id"])
    assert found.document == {
        "_id": found.reference,
        "organisation": OTHER,
        "lrs_id": STORE,
        "person": None,
        "active": True,
        "voided": False,
        "statement": a_statement(3),
        "hash": f"journey-progress:{a_statement(3)['id']}",
        "timestamp": START,
        "stored": START,
    }


def test_a_bare_statement_by_defaults() -> None:
    found = statement_in(a_statement(), Tenancy(ORGANISATION, STORE))
    assert (found.organisation, found.store) == (ORGANISATION, STORE)
    assert statement_in(a_statement(), Tenancy(ORGANISATION)).store is None


def test_i2_the_reference_does_not_depend_on_the_case_of_the_uuid() -> None:
    upper = {**a_statement(), "id": a_statement()["id"].upper()}
    assert statement_in(upper).reference == statement_in(a_statement()).reference
    assert statement_in(upper).document["hash"] == statement_in(a_statement()).document["hash"]
    assert statement_in(a_statement(2)).reference != statement_in(a_statement()).reference


def test_an_array_of_both_shapes_in_its_order() -> None:
    found = decoded([a_statement(1), a_statement_document(2), a_statement(3)])
    assert outcomes(found) == [(0, None), (1, None), (2, None)]


def test_i3_one_bad_item_never_sinks_its_neighbours() -> None:
    bad = [{}, 5, None, [a_statement()], {**a_statement(), "actor": {}}, a_statement_document(_id="x")]
    found = decoded([a_statement(1), *bad, a_statement_document(2)])
    assert outcomes(found) == [
        (0, None),
        (1, Reason.WRONG_SHAPE),
        (2, Reason.WRONG_SHAPE),
        (3, Reason.WRONG_SHAPE),
        (4, Reason.WRONG_SHAPE),
        (5, Reason.INVALID_ACTOR),
        (6, Reason.INVALID_ID),
        (7, None),
    ]


def test_an_empty_array_holds_nothing() -> None:
    assert decoded([]) == []


@pytest.mark.parametrize("content", [a_statement(1), a_statement_document(1)], ids=["bare", "document"])
def test_a_structured_cloud_event_is_what_it_holds(content: dict[str, Any]) -> None:
    assert statement_in(an_event(content)).document == statement_in(content).document
    assert outcomes(decoded(an_event([content, {}]))) == [(0, None), (1, Reason.WRONG_SHAPE)]
    assert outcomes(decoded([an_event(content), content])) == [(0, None), (1, None)]


@pytest.mark.parametrize("content", [a_statement(1), a_statement_document(1)], ids=["bare", "document"])
def test_an_event_of_several_statements_in_a_batch_of_events(content: dict[str, Any]) -> None:
    """Their item is where the event stands; one level, as everywhere."""
    found = decoded([an_event([content, {}]), an_event([]), content, an_event([[content]])])
    assert outcomes(found) == [(0, None), (0, Reason.WRONG_SHAPE), (2, None), (3, Reason.WRONG_SHAPE)]


def test_the_value_of_a_binary_cloud_event_is_its_content() -> None:
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("organisation", str(OTHER).encode())]
    assert statement_in(a_statement(), headers=headers).organisation == OTHER


def test_a_cloud_event_without_json_data_says_so() -> None:
    event = an_event(None)
    del event["data"]
    assert "data_base64" in refused({**event, "data_base64": "e30="}).message


def test_a_statement_with_a_member_named_data_is_no_cloud_event() -> None:
    assert statement_in({**a_statement(), "data": {}}).is_bare


@pytest.mark.parametrize("spelling", [str(OTHER), str(OTHER).upper(), {"$oid": str(OTHER)}])
def test_ids_in_all_spellings(spelling: Any) -> None:
    found = statement_in(
        a_statement_document(
            _id=spelling, organisation=spelling, lrs_id=spelling, client=spelling, person={"_id": spelling}
        )
    )
    assert (found.reference, found.organisation, found.store) == (OTHER, OTHER, OTHER)
    assert (found.document["client"], found.document["person"]) == (OTHER, {"_id": OTHER})


@pytest.mark.parametrize("shape", [lambda it: it, lambda it: [it], an_event, lambda it: [an_event([it])]])
def test_ids_and_dates_beside_the_statement_are_what_they_are_in_the_database(shape: Callable[[Any], Any]) -> None:
    """As MongoDB's own connector writes them: or what is matched in a recalculation would not be matched live."""
    extensions = {"http://example.org/x": {"$oid": str(OTHER)}}
    statement = a_statement(result={"extensions": extensions})
    spelled: dict[str, Any] = {
        "personaIdentifier": {"$oid": str(OTHER)},
        "updatedAt": {"$date": "2026-01-01T10:00:00Z"},
        "metadata": {"seen": [{"by": {"$oid": str(OTHER)}, "at": {"$dte": "2026-01-01T10:00:00Z"}}]},
        "other": [{"$oid": "none"}, {"$oid": str(OTHER), "x": 1}, {"$date": None}],
    }
    stored: dict[str, Any] = {
        "personaIdentifier": OTHER,
        "updatedAt": START,
        "metadata": {"seen": [{"by": OTHER, "at": START}]},
        "other": spelled["other"],
    }
    document = a_statement_document(statement=statement, **spelled)
    found = statement_in(shape(document)).document
    in_database = stored_statement(a_statement_document(statement=statement, **stored))
    assert in_database is not None
    assert found == in_database.document


def test_a_dollar_that_is_written_as_an_escape_is_one() -> None:
    document = a_statement_document(personaIdentifier={"$oid": str(OTHER)}, _id=str(OTHER))
    escaped = orjson.dumps(document).replace(b"$", rb"\u0024")
    assert b"$" not in escaped
    assert statement_in(escaped).document == statement_in(document).document


def test_a_malformed_id_is_still_refused() -> None:
    assert refused(a_statement_document(_id={"$oid": "none"})).reason == Reason.INVALID_ID
    assert refused(a_statement_document(timestamp={"$oid": str(OTHER)})).reason == Reason.INVALID_TIMESTAMP


def test_what_came_in_is_left_as_it_was() -> None:
    found = statement_in(a_statement_document(5))
    assert b'"_id":"000000000000000000000005"' in (found.record.value or b"")
