"""The leases in force, and those that ran out, for people."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from bson.codec_options import DatetimeConversion
from pymongo.asynchronous.collection import AsyncCollection

from processor.core.relaying import handed_of
from processor.ports.progress import Lock
from processor.store.connect import READABLE, Document
from processor.store.failures import translated

CLAMPED = READABLE.with_options(datetime_conversion=DatetimeConversion.DATETIME_CLAMP)
"""A lease that was set by hand may end beyond the year 9999: it is listed last."""


async def read_locks(
    progresses: AsyncCollection[Document], handed: Sequence[tuple[Document, Sequence[Document]]], limit: int
) -> Sequence[Lock]:
    """Return up to `limit` leases of promoters and relays, the earliest end first.

    `handed` are the accounts of relays, each with what matches the documents that it was handed and has not published.
    """
    progresses = progresses.with_options(CLAMPED)
    promoters = await _leases(progresses, "promote", ("lockKey", "processing.lease", "processing.holder"), limit)
    relays = await _leases(
        progresses, "relay", ("processing.relayKey", "processing.relayLease", "processing.relayHolder"), limit
    )
    given = [lock for relay, conditions in handed for lock in await _handed(progresses, relay, conditions, limit)]
    return sorted([*promoters, *relays, *given], key=lambda lock: lock.until)[:limit]


async def _handed(
    progresses: AsyncCollection[Document], relay: Document, conditions: Sequence[Document], limit: int
) -> list[Lock]:
    """Return what a relay was handed; its key there is the relay and the number, its worker the whole relay's."""
    locks: list[Lock] = []
    if not isinstance(relay["until"], datetime):  # it was edited by hand
        return locks
    with translated():
        for condition in conditions:
            async for document in progresses.find(condition, {"processing.handed": 1}).limit(limit):
                if handed := handed_of(document):
                    key, worker = f"{handed.relay}/{handed.number}", relay.get("worker") or None
                    locks.append(Lock(document["_id"], "relay", key, relay["until"], worker, relay.get("since")))
    return locks


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
