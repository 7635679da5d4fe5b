"""BSON values to what JSON can hold (http.md: ids are 24-hex strings, dates ISO 8601 with milliseconds and `Z`)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bson import ObjectId

from schemas.ids import format_timestamp


def rendered(value: Any) -> Any:
    """Return a value with every ObjectId and datetime in it, at any depth, as a string; the input is left alone."""
    if isinstance(value, ObjectId):
        return str(value)
    if isinstance(value, datetime):
        return format_timestamp(value)
    if isinstance(value, Mapping):
        return {key: rendered(child) for key, child in value.items()}
    if isinstance(value, list):
        return [rendered(child) for child in value]
    return value
