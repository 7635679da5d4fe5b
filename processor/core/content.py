"""What a record holds, as JSON: its shapes taken apart to what should be statements (semantics.md, section 1)."""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from processor.core.records import Reason, Record
from schemas.depth import DEPTH_LIMIT, may_be_deep
from schemas.ids import parse_object_id, parse_timestamp

SPELLINGS: Final = {"$oid": parse_object_id, "$date": parse_timestamp, "$dte": parse_timestamp}
"""The keys of ids and dates in Extended JSON, and what reads such a document; it raises ValueError."""


class Fault(Exception):
    """Why a record, or an item of it, cannot be used."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def items_of(record: Record) -> Iterator[tuple[int | None, Any]]:
    """Yield what should be statements, each with the item that it stands in: its position in the outermost array.

    That is None without an array. An event in an array may hold an array, and then several come under its position.
    Ids and dates beside a statement are plain values, also where they came in Extended JSON. Raises `Fault` if the
    record cannot be read at all.
    """
    content = _unwrapped(_content(record))
    plain = _with_plain_values if record.value and _may_have_spellings(record.value) else _as_it_is
    if not isinstance(content, list):
        yield None, plain(content)
        return
    for item, value in enumerate(content):
        inner = _unwrapped(value)
        several = inner if inner is not value and isinstance(inner, list) else (inner,)
        for statement in several:
            yield item, plain(statement)


def _content(record: Record) -> Any:
    if not record.is_readable:
        raise Fault(Reason.UNREADABLE, "the name of a header is not UTF-8; the letter has it escaped")
    if not record.value:
        raise Fault(Reason.EMPTY, "the record has no value")
    try:
        content = orjson.loads(record.value)
    except orjson.JSONDecodeError as error:
        raise Fault(Reason.NOT_JSON, f"the value is not UTF-8 JSON: {error}") from None
    if may_be_deep(record.value) and _depth(content) > DEPTH_LIMIT:
        raise Fault(Reason.TOO_DEEP, f"the value is nested deeper than {DEPTH_LIMIT} levels")
    return content


def _depth(content: Any) -> int:
    depth, level = 0, [content]
    while level := [value for value in level if isinstance(value, dict | list)]:
        depth += 1
        if depth > DEPTH_LIMIT:
            break
        level = [child for value in level for child in (value.values() if isinstance(value, dict) else value)]
    return depth


def _unwrapped(value: Any) -> Any:
    """Return the data of a structured CloudEvent; in the binary binding the value is the data already."""
    if isinstance(value, dict) and "specversion" in value and "data" in value:
        return value["data"]
    return value


def _may_have_spellings(value: bytes) -> bool:
    """Tell whether a key may begin with `$`, which JSON may also write as an escape."""
    return b'"$' in value or b'"\\u0024' in value


def _as_it_is(value: Any) -> Any:
    return value


def _with_plain_values(value: Any) -> Any:
    """Return a statement document with plain ids and dates beside its statement, as it is in the database."""
    if isinstance(value, dict) and isinstance(value.get("statement"), dict):
        return {key: it if key == "statement" else _plain(it) for key, it in value.items()}
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_plain, value))
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (key,) = value
        if key in SPELLINGS:
            try:
                return SPELLINGS[key](value)
            except ValueError:
                return value  # no id or date; where one has to be, it is refused
    return {key: _plain(child) for key, child in value.items()}
