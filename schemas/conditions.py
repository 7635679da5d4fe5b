"""How conditions are written down: a Mongo query as an object, or as a JSON string of one (semantics.md, section 3).

What they mean is the processor's affair. BSON values in them become Learning Locker's dialect, which is JSON.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from bson import ObjectId

from schemas.ids import format_timestamp


def parse_conditions(value: Any) -> dict[str, Any]:
    """Return conditions as a JSON-able object. An empty string, and null, are the same as `{}`.

    ObjectIds become `{"$oid": …}`; datetimes, and dates as YAML has them, `{"$dte": …}`. Raises ValueError for what is
    not JSON, not an object, or holds a value that JSON does not know, with its path.
    """
    try:
        if isinstance(value, str):
            value = json.loads(value) if value.strip() else None
        plain = {} if value is None else _plain(value, "$")
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(plain, dict):
        raise ValueError("conditions are a Mongo query: an object, or a JSON string of one")  # noqa: TRY004
    return plain


def _plain(value: Any, path: str) -> Any:
    if isinstance(value, str):
        return _text(value, path)
    if value is None or isinstance(value, bool | int | float):
        return _number(value, path)
    if isinstance(value, Mapping):
        return {_key(key, path): _plain(child, f"{path}.{key}") for key, child in value.items()}
    if isinstance(value, list):
        return [_plain(item, f"{path}[{position}]") for position, item in enumerate(value)]
    if isinstance(value, ObjectId):
        return {"$oid": str(value)}
    if isinstance(value, datetime):
        return {"$dte": format_timestamp(value)}
    if isinstance(value, date):
        return {"$dte": format_timestamp(datetime(value.year, value.month, value.day, tzinfo=UTC))}
    raise ValueError(f"{path}: {value!r:.60} cannot be written as JSON")


def _number(value: Any, path: str) -> Any:
    """A number that can be written; so are true, false and null."""
    if isinstance(value, int) and not fits(value):
        raise ValueError(f"{path}: a whole number has at most 64 bits; write a larger one with an exponent (1e20)")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{path}: {value} cannot be written as JSON")
    return value


def fits(number: int) -> bool:
    """Tell whether 64 bits hold a whole number, with a sign or without: others can be neither stored nor shown."""
    return -(2**63) <= number < 2**64


def _text(text: str, path: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{path}: half a surrogate pair is not text: UTF-8 cannot write it") from None
    return text


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str):
        raise ValueError(f"{path}: key {key!r:.60} is not a string (YAML reads it so: quote it)")  # noqa: TRY004
    return _text(key, path)
