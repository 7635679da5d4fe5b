"""Ids and timestamps in every spelling that Learning Locker's data has (semantics.md, section 1).

An id is an ObjectId, 24 hex digits, or `{"$oid": …}`. A timestamp is a datetime, an ISO 8601 string, `{"$date": …}`
or `{"$dte": …}`; it becomes a UTC datetime truncated to milliseconds, as BSON holds it. BSON also
holds instants outside the years 0001 to 9999 (`DatetimeMS`): to us these are no timestamps, but they can be shown.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from reprlib import Repr
from typing import Annotated, Any

from bson import ObjectId
from bson.datetime_ms import DatetimeMS
from msgspec import to_builtins
from pydantic import BeforeValidator, InstanceOf, PlainSerializer, WithJsonSchema

SHORT = 40
"""Characters within which a timestamp is remembered."""

_BEGINNING = Repr()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_USUAL_LENGTH = len("yyyy-mm-ddThh:mm:ss.ssssssZ")
_PLACES = (4, 7, 10, 13, 16, 19, 23)
_SIGNS = itemgetter(*_PLACES)
_USUAL_SIGNS = tuple("--T::.Z")
_MIDNIGHT = re.compile(r"24:00(?::00(?:[.,]0+)?)?[Zz+-]")
_BASIC = re.compile(r"[0-9]{8}(?:[Tt ][0-9:.,]*(?:[Zz]|[+-][0-9:]+)?)?")
_FAR_YEAR = re.compile(r"[+-]?[0-9]{5,}-[0-9]{2}-[0-9]{2}.*|-[0-9]{4}-.*")


def parse_object_id(value: Any) -> ObjectId:
    """Return the ObjectId that an ObjectId, 24 hex digits or `{"$oid": …}` spell. Raises ValueError."""
    if isinstance(value, ObjectId):
        return value
    if not isinstance(value, str) and isinstance(value, Mapping) and len(value) == 1:
        value = value.get("$oid", value)
    if isinstance(value, str) and len(value) == 24:
        try:
            digits = bytes.fromhex(value)
        except ValueError:
            digits = b""
        if len(digits) == 12:  # fewer where there are spaces between the digits
            return ObjectId(digits)
    raise ValueError(f"{_shown(value)} is not an id of 24 hex digits")


def parse_timestamp(value: Any) -> datetime:
    """Return the instant that a value spells: aware, UTC, truncated to milliseconds. Raises ValueError.

    A naive datetime is UTC, as PyMongo gives it. A date alone is midnight UTC; a time needs its zone
    (learning-locker-behaviour.md, 8.7). A number counts milliseconds and stands in `$date` or `$dte`.
    """
    if isinstance(value, str):
        return _from_short(value) if len(value) < SHORT else _from_iso(value)
    if isinstance(value, datetime):
        return _truncated(value)
    if isinstance(value, Mapping) and len(value) == 1:
        inner = value.get("$date", value.get("$dte"))
        if isinstance(inner, Mapping) and len(inner) == 1:
            inner = _from_long(inner.get("$numberLong"))
        if isinstance(inner, str):
            return _from_iso(inner)
        if isinstance(inner, datetime):
            return _truncated(inner)
        if isinstance(inner, int) and not isinstance(inner, bool):
            return _from_milliseconds(inner)
    raise ValueError(f"{_shown(value)} is not a timestamp")


def usual_timestamps(texts: Collection[str]) -> list[datetime] | None:
    """Return the instants of texts that are all spelt yyyy-mm-ddThh:mm:ss.sssZ, as nearly all are; None for others."""
    together = "".join(texts)
    if set(map(len, texts)) <= {24} and all(
        together[place::24] == sign * len(texts) for place, sign in zip(_PLACES, _USUAL_SIGNS, strict=True)
    ):
        try:
            return list(map(datetime.fromisoformat, texts))
        except ValueError:
            pass
    return None


def parse_timestamps(texts: Sequence[str]) -> list[datetime]:
    """Return the instants that several texts spell: `parse_timestamp` of each. Raises ValueError if one spells none."""
    usual = usual_timestamps(texts)
    return list(map(parse_timestamp, texts)) if usual is None else usual


def parse_object_ids(texts: Sequence[str]) -> list[ObjectId]:
    """Return the ids that several texts spell: `parse_object_id` of each. Raises ValueError if one spells none."""
    digits = bytes.fromhex("".join(texts))
    if len(digits) != 12 * len(texts) or not set(map(len, texts)) <= {24}:
        raise ValueError("one of them is not an id of 24 hex digits")
    return [ObjectId(digits[start : start + 12]) for start in range(0, len(digits), 12)]


def _shown(value: Any) -> str:
    """Return how a value looks; of what is nested only how it begins, as the stack may not be deep enough for more."""
    return f"{_BEGINNING.repr(value) if isinstance(value, dict | list) else repr(value):.60}"


def format_timestamp(value: datetime) -> str:
    """Write an instant as ISO 8601 with exactly milliseconds and `Z` (http.md); a naive one is UTC."""
    if value.tzinfo is not UTC and value.utcoffset():
        value = value.astimezone(UTC)
    written = to_builtins(value)  # a third of what isoformat takes
    return f"{written[:23]}Z" if value.microsecond else f"{written[:19]}.000Z"


def format_timestamps(values: Sequence[datetime]) -> list[str]:
    """Write several: `format_timestamp` of each, in a third of the time."""
    written: list[str] = to_builtins(values)
    return [
        f"{text[:23]}Z" if len(text) == _USUAL_LENGTH and value.tzinfo is UTC else format_timestamp(value)
        for text, value in zip(written, values, strict=True)
    ]


def format_far(value: DatetimeMS) -> dict[str, Any]:
    """Write an instant outside the years 0001 to 9999 as Extended JSON, which has no other spelling for it."""
    return {"$date": {"$numberLong": str(int(value))}}


def parse_far(value: Any) -> DatetimeMS | None:
    """Read what `format_far` wrote; None for anything else."""
    inner = value.get("$date") if isinstance(value, Mapping) and len(value) == 1 else None
    milliseconds = _from_long(inner.get("$numberLong")) if isinstance(inner, Mapping) and len(inner) == 1 else None
    return DatetimeMS(milliseconds) if milliseconds is not None and -(2**63) <= milliseconds < 2**63 else None


@lru_cache(maxsize=512)
def _from_short(text: str) -> datetime:
    """Remember what was read: most statements have the same time in three places, and who matches is read again."""
    return _from_iso(text)


def _from_iso(text: str) -> datetime:
    if len(text) == 24 and _SIGNS(text) == _USUAL_SIGNS:  # yyyy-mm-ddThh:mm:ss.sssZ, as nearly all are: at once
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    return _from_any_iso(text)


def _from_any_iso(text: str) -> datetime:
    shape = _ISO.fullmatch(text)
    if not shape:
        raise ValueError(_not_iso(text))
    if len(text) > 10 and not shape["zone"]:
        raise ValueError(f"{text!r:.60} is a time without a zone (Z or +hh:mm)")
    try:
        return _truncated(datetime.fromisoformat(text.upper()))
    except ValueError as error:
        late = _late(text)
        if late is None:
            raise ValueError(f"{text!r:.60} is not a possible instant: {error}") from None
        return late


def _late(text: str) -> datetime | None:
    """Read a leap second (RFC 3339, 5.6) as the one after :59, and 24:00 (ISO 8601) as the next midnight; None else."""
    if text[16:19] == ":60":
        before, step = f"{text[:17]}59{text[19:]}", timedelta(seconds=1)
    elif _MIDNIGHT.match(text, 11):
        before, step = f"{text[:11]}00{text[13:]}", timedelta(days=1)
    else:
        return None
    try:
        return _truncated(datetime.fromisoformat(before.upper())) + step
    except (ValueError, OverflowError):
        return None


def _not_iso(text: str) -> str:
    """Say what is wrong with a text that is not in the extended format."""
    if _BASIC.fullmatch(text):
        return f"{text!r:.60} is in the basic format of ISO 8601; write YYYY-MM-DDThh:mm:ss.sssZ"
    if _FAR_YEAR.fullmatch(text):
        return f"{text!r:.60} is not a possible instant: years are 0001 to 9999"
    return f"{text!r:.60} is not an ISO 8601 timestamp (YYYY-MM-DDThh:mm:ss.sssZ)"


def _from_long(digits: Any) -> int | None:
    """Read Extended JSON's 64-bit number, a string of at most 19 digits."""
    if isinstance(digits, str) and re.fullmatch(r"-?[0-9]{1,19}", digits):
        return int(digits)
    return None


def _from_milliseconds(milliseconds: int) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        raise ValueError(f"{milliseconds!r:.60} milliseconds are not within the years 0001 to 9999") from None


def _truncated(value: datetime) -> datetime:
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    elif value.tzinfo is not UTC:
        try:
            value = value.astimezone(UTC)
        except OverflowError:
            raise ValueError(f"{value.isoformat()} is outside the years 0001 to 9999 in UTC") from None
    beyond = value.microsecond % 1000
    return value.replace(microsecond=value.microsecond - beyond) if beyond else value


Id = Annotated[
    InstanceOf[ObjectId],
    BeforeValidator(parse_object_id),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^[0-9a-fA-F]{24}$", "description": "A Mongo ObjectId."}),
]
"""An ObjectId; JSON: 24 hex digits."""

Timestamp = Annotated[
    datetime,
    BeforeValidator(parse_timestamp),
    PlainSerializer(format_timestamp, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "description": "ISO 8601 with milliseconds and Z."}),
]
"""An instant; JSON: ISO 8601 with milliseconds and `Z`."""
