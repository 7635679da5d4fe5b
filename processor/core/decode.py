"""Bytes in, statements or reasons out: the four record shapes of semantics.md, section 1.

`decode` never raises: whatever cannot be used becomes a `Rejected` with a reason from the closed list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from bson import ObjectId

from processor.core.content import Fault, items_of
from processor.core.identity import inverse_functional_identifier, is_group, statement_reference
from processor.core.records import Reason, Record, Rejected, StatementRecord
from schemas.ids import parse_object_id, parse_timestamp

HASH_OF_BARE = "journey-progress:"
"""Stands before the UUID in `hash` of a bare statement: Learning Locker's SHA-1, by which its unique index tells the
statements of a store apart, is never that; without any, one statement in each store would be all that it lets in."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Tenancy:
    """The tenant of bare statements without headers for it (settings DEFAULT_ORGANISATION and DEFAULT_STORE)."""

    organisation: ObjectId | None = None
    store: ObjectId | None = None


STORED = Record("", 0, 0, 0, None)
"""Stands for the record of a statement that comes from the database."""


known_id = lru_cache(4096)(parse_object_id)
"""Organisations, stores and clients come again and again."""


def decode(record: Record, tenancy: Tenancy) -> list[StatementRecord | Rejected]:
    """Return what a record holds: one entry per statement in it, in its order, each judged on its own.

    A record that cannot be read at all gives one `Rejected`. An empty array gives an empty list.
    """
    try:
        items = list(items_of(record))
    except Fault as fault:
        return [Rejected(record, fault.reason, str(fault))]
    decoded: list[StatementRecord | Rejected] = []
    for item, value in items:
        try:
            decoded.append(_statement_record(value, record, item, tenancy))
        except Fault as fault:
            decoded.append(Rejected(record, fault.reason, str(fault), item))
    return decoded


def stored_statement(document: Mapping[str, Any]) -> StatementRecord | None:
    """Return a statement document of the database as a record, None when it is none that the stream would take."""
    if not isinstance(document.get("statement"), dict):
        return None
    try:
        return _from_document(dict(document), STORED, None)
    except Fault:
        return None


def _statement_record(value: Any, record: Record, item: int | None, tenancy: Tenancy) -> StatementRecord:
    if not isinstance(value, dict):
        raise Fault(Reason.WRONG_SHAPE, f"a statement is a JSON object, not {_json_type(value)}")
    if isinstance(value.get("statement"), dict):
        return _from_document(value, record, item)
    if "actor" in value and "verb" in value and "object" in value:
        return _from_bare(value, record, item, tenancy)
    if "specversion" in value:
        raise Fault(Reason.WRONG_SHAPE, "a CloudEvent without JSON `data` (`data_base64` is not read)")
    raise Fault(
        Reason.WRONG_SHAPE, "neither a statement document (`statement`) nor a statement (`actor`, `verb`, `object`)"
    )


def _from_document(value: dict[str, Any], record: Record, item: int | None) -> StatementRecord:
    statement = value["statement"]
    _check_structure(statement)
    reference = _object_id(value, "_id", missing=Reason.INVALID_ID)
    organisation = _object_id(value, "organisation", missing=Reason.NO_TENANT)
    store = _object_id(value, "lrs_id")
    document = {**value, "_id": reference, "organisation": organisation, "lrs_id": store}
    if value.get("client") is not None:
        document["client"] = _object_id(value, "client")
    person = value.get("person")
    if isinstance(person, dict) and person.get("_id") is not None:
        document["person"] = {**person, "_id": _object_id(person, "_id")}
    return _timed(document, record, item, is_bare=False)


def _from_bare(statement: dict[str, Any], record: Record, item: int | None, tenancy: Tenancy) -> StatementRecord:
    _check_structure(statement)
    statement_id = statement.get("id")
    if not isinstance(statement_id, str) or not statement_id:
        raise Fault(
            Reason.INVALID_ID, "a bare statement needs its `id`: without it a repeated delivery would count twice"
        )
    reference = statement_reference(statement_id)
    organisation = _from_header(record, "organisation") or tenancy.organisation
    if organisation is None:
        raise Fault(
            Reason.NO_TENANT,
            "a bare statement needs the record header `organisation` (or setting DEFAULT_ORGANISATION)",
        )
    store = _from_header(record, "lrs_id") or tenancy.store
    document = {
        "_id": reference,
        "organisation": organisation,
        "lrs_id": store,
        "person": None,
        "active": True,
        "voided": False,
        "statement": statement,
        "hash": f"{HASH_OF_BARE}{statement_id.lower()}",
    }
    return _timed(document, record, item, is_bare=True)


def _timed(document: dict[str, Any], record: Record, item: int | None, *, is_bare: bool) -> StatementRecord:
    """Put the event time in: the document's, else the statement's, else `stored`, else the record's."""
    statement = document["statement"]
    stored = _timestamp(document.get("stored"), "stored") or _timestamp(statement.get("stored"), "statement.stored")
    timestamp = (
        _timestamp(document.get("timestamp"), "timestamp")
        or _timestamp(statement.get("timestamp"), "statement.timestamp")
        or stored
        or _record_time(record)
    )
    document["timestamp"] = timestamp
    document["stored"] = stored or _record_time(record)
    return StatementRecord(
        document=document,
        reference=document["_id"],
        organisation=document["organisation"],
        store=document["lrs_id"],
        timestamp=timestamp,
        is_bare=is_bare,
        record=record,
        item=item,
    )


def _check_structure(statement: Mapping[str, Any]) -> None:
    """Check what every statement must have: an identifiable actor, a verb id, an object (xAPI 1.0.3, Data 2.2)."""
    actor, verb, thing = statement.get("actor"), statement.get("verb"), statement.get("object")
    if not isinstance(actor, dict) or not _is_identifiable(actor):
        raise Fault(Reason.INVALID_ACTOR, "`actor` has no mbox, mbox_sha1sum, openid or account")
    if not isinstance(verb, dict) or not isinstance(verb.get("id"), str) or not verb["id"]:
        raise Fault(Reason.INVALID_VERB, "`verb` has no `id`")
    if not isinstance(thing, dict) or not thing:
        raise Fault(Reason.INVALID_OBJECT, "`object` is not a JSON object with content")


def _is_identifiable(actor: dict[str, Any]) -> bool:
    if inverse_functional_identifier(actor):
        return True
    members = actor.get("member")
    return is_group(actor) and isinstance(members, list) and all(isinstance(member, dict) for member in members)


def _object_id(document: Mapping[str, Any], key: str, missing: Reason | None = None) -> ObjectId | None:
    value = document.get(key)
    if value is None:
        if missing:
            raise Fault(missing, f"`{key}` is missing")
        return None
    try:
        return known_id(value) if isinstance(value, str) and key != "_id" else parse_object_id(value)
    except ValueError as error:
        raise Fault(Reason.INVALID_ID, f"`{key}`: {error}") from None


def _from_header(record: Record, name: str) -> ObjectId | None:
    for key, value in record.headers:
        if key == name:
            try:
                return parse_object_id(value.decode())
            except ValueError as error:
                raise Fault(Reason.INVALID_ID, f"record header `{name}`: {error}") from None
    return None


def _timestamp(value: Any, path: str) -> datetime | None:
    if value is None:
        return None
    try:
        return parse_timestamp(value)
    except ValueError as error:
        raise Fault(Reason.INVALID_TIMESTAMP, f"`{path}`: {error}") from None


def _record_time(record: Record) -> datetime:
    """Return the record's own time; a producer may have written any 64-bit number there."""
    try:
        return EPOCH + timedelta(milliseconds=max(record.timestamp, 0))
    except OverflowError:
        raise Fault(
            Reason.INVALID_TIMESTAMP, f"the record's timestamp, {record.timestamp} ms, is after the year 9999"
        ) from None


def _json_type(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
