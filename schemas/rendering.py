"""BSON values to what JSON can hold (http.md: ids are 24-hex strings, dates ISO 8601 with milliseconds and `Z`)."""

from datetime import datetime
from typing import Any

import orjson
from bson import ObjectId
from bson.datetime_ms import DatetimeMS

from schemas.ids import format_far, format_timestamp


def rendered(value: Any) -> Any:
    """Return a value with every ObjectId and datetime in it, at any depth, as JSON; the input is left alone."""
    if isinstance(value, dict):  # not Mapping: asking an abstract class is slow, and this runs for every event
        return {key: rendered(child) for key, child in value.items()}
    if isinstance(value, list):
        return [rendered(child) for child in value]
    if isinstance(value, ObjectId):
        return str(value)
    if isinstance(value, datetime):
        return format_timestamp(value)
    if isinstance(value, DatetimeMS):
        return format_far(value)
    return value


def to_json(value: Any) -> bytes:
    """Return the JSON of what `rendered` makes of a value, without making it: less than half the work.

    Raises TypeError for what JSON cannot hold, as `orjson.dumps` of the rendered value would.
    """
    return orjson.dumps(value, default=_text, option=orjson.OPT_PASSTHROUGH_DATETIME)


def _text(value: Any) -> str:
    if isinstance(value, ObjectId):
        return str(value)
    if isinstance(value, datetime):
        return format_timestamp(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
