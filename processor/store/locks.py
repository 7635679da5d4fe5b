"""The leases in force, and those that ran out, for people."""

from collections.abc import Sequence
from typing import Any, Literal

from bson.codec_options import DatetimeConversion
from pymongo.asynchronous.collection import AsyncCollection

from processor.ports.progress import Lock
from processor.store.connect import READABLE, Document
from processor.store.failures import translated

CLAMPED = READABLE.with_options(datetime_conversion=DatetimeConversion.DATETIME_CLAMP)
"""A lease that was set by hand may end beyond the year 9999: it is listed last."""


async def read_locks(progresses: AsyncCollection[Document], limit: int) -> Sequence[Lock]:
    """Return up to `limit` leases of promoters and relays, the earliest end first."""
    progresses = progresses.with_options(CLAMPED)
    promoters = await _leases(progresses, "promote", ("lockKey", "processing.lease", "processing.holder"), limit)
    relays = await _leases(
        progresses, "relay", ("processing.relayKey", "processing.relayLease", "processing.relayHolder"), limit
    )
    return sorted([*promoters, *relays], key=lambda lock: lock.until)[:limit]


async def _leases(
    progresses: AsyncCollection[Document],
    loop: Literal["promote", "relay"],
    fields: tuple[str, str, str],
    limit: int,
) -> list[Lock]:
    key, lease, holder = fields
    locks = []
    with translated():
        async for document in progresses.find({lease: {"$exists": True}}, fields).sort(lease).limit(limit):
            who = _at(document, holder) or {}
            locks.append(
                Lock(
                    document["_id"],
                    loop,
                    _at(document, key) or "",
                    _at(document, lease),
                    who.get("worker") or None,
                    who.get("since"),
                )
            )
    return locks


def _at(document: Document, path: str) -> Any:
    value: Any = document
    for part in path.split("."):
        value = value.get(part, {})
    return value or None
