"""Ids and timestamps in every spelling that Learning Locker's data has (semantics.md, section 1).

An id is an ObjectId, 24 hex digits, or `{"$oid": …}`. A timestamp is a datetime, an ISO 8601 string, `{"$date": …}`
or `{"$dte": …}`; it becomes a UTC datetime truncated to milliseconds, as BSON holds it.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from bson import ObjectId
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d([.,]\d+)?)?\s?(Z|z|[+-]\d\d(:?\d\d)?))?")


def parse_object_id(value: Any) -> ObjectId:
    """Return the ObjectId that a value spells. Raises ValueError."""
    if isinstance(value, ObjectId):
        return value
    if isinstance(value, dict) and len(value) == 1 and "$oid" in value:
        value = value["$oid"]
    if isinstance(value, str) and len(value) == 24 and ObjectId.is_valid(value):
        return ObjectId(value)
    raise ValueError(f"{value!r:.60} is not an id of 24 hex digits")


def parse_timestamp(value: Any) -> datetime:
    """Return the instant that a value spells: aware, UTC, truncated to milliseconds. Raises ValueError.

    A date alone is midnight UTC; a time needs its zone (xAPI 1.0.3, Data 4.5: RFC 3339 within ISO 8601).
    """
    if isinstance(value, str):
        return _parse_iso(value)
    if isinstance(value, datetime):
        return _truncated(value if value.tzinfo else value.replace(tzinfo=UTC))
    if isinstance(value, dict) and len(value) == 1:
        inner = value.get("$date", value.get("$dte"))
        if isinstance(inner, dict):
            inner = inner.get("$numberLong")
            inner = int(inner) if isinstance(inner, str) and inner.lstrip("-").isdecimal() else inner
        if isinstance(inner, str):
            return _parse_iso(inner)
        if isinstance(inner, int) and not isinstance(inner, bool):
            return _from_milliseconds(inner)
    raise ValueError(f"{value!r:.60} is not a timestamp")


def format_timestamp(value: datetime) -> str:
    """Write a UTC datetime as ISO 8601 with milliseconds and `Z` (http.md)."""
    return value.isoformat(timespec="milliseconds")[:23] + "Z"


def _parse_iso(text: str) -> datetime:
    if not _ISO.fullmatch(text):
        raise ValueError(f"{text!r:.60} is not an ISO 8601 timestamp with a zone")
    try:
        parsed = datetime.fromisoformat(text.replace(" ", "") if text[10:11] != " " else text)
        return _truncated(parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r:.60} is not a possible instant: {error}") from None


def _from_milliseconds(milliseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise ValueError(f"{milliseconds} milliseconds are out of range") from None


def _truncated(value: datetime) -> datetime:
    value = value.astimezone(UTC)
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


Id = Annotated[
    ObjectId,
    BeforeValidator(parse_object_id),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{24}$", "description": "A Mongo ObjectId."}),
]
"""An ObjectId; JSON: 24 hex digits."""

Timestamp = Annotated[
    datetime,
    BeforeValidator(parse_timestamp),
    PlainSerializer(format_timestamp, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "description": "ISO 8601 with milliseconds and Z."}),
]
"""An instant; JSON: ISO 8601 with milliseconds and `Z`."""
