"""Every write to a progress document, as a pure value: filter and update. Where the guarantees meet MongoDB.

Its marks and its claim stand in `marks.py`, the outbox in `outbox.py`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne

from processor.core.beginning import Beginning
from processor.core.completions import items_to
from processor.core.continuation import Continuation
from processor.core.evidence import CROWDED, Append, Promotion, Retraction, Segment
from processor.core.relaying import is_handy
from processor.core.retraction import replay_entry, retraction_entry
from processor.ports.progress import BUSY, Outbox, RelayLease
from processor.store.marks import REPLAY, Filter
from processor.store.outbox import BY_ID, Update, handed, outbox_entry

SEGMENTS_KEPT = timedelta(days=2)
"""Before the end of a claim's lease, which is a day at most (setting LEASE)."""


def append_update(append: Append, now: datetime) -> UpdateOne:
    """Add evidence and mark the document due; the derived `_id` makes it the only one of its kind (trap 4).

    `$addToSet`, so that a redelivery adds nothing (I2). `$max` tells promoters which journey version they must
    know (trap 7). In a replay the document is not due yet: its recalculation marks it at its end, or when it is
    `crowded`.
    """
    pending = {
        f"pendingProgress.{waypoint}.statements": {"$each": items_to(items)} for waypoint, items in append.items.items()
    }
    update: Update = {
        "$setOnInsert": {
            "journey": append.journey,
            "organisation": append.organisation,
            "owner": {"trackBy": append.owner.track_by, "ident": append.owner.ident},
            "createdAt": now,
            "isCompleted": False,
            "completions": [],
            "processing.revision": 0,
        },
        "$addToSet": pending,
        "$min": {"processing.due": now},
        "$max": {"processing.version": append.version, "updatedAt": now},
    }
    if append.replay is not None:
        update["$addToSet"] = {**pending, REPLAY: replay_entry(append.replay, append.version)}
        del update["$min"]
    return UpdateOne({"_id": append.progress}, update, upsert=True)


def touched(appends: Sequence[Append]) -> Filter:
    """Match the documents that were to be appended to, but for those that no mark can be set in."""
    return {"_id": {"$in": [append.progress for append in appends]}, "processing.revision": {"$exists": True}}


def crowded(appends: Sequence[Append]) -> Filter:
    """Match those documents that have much pending of what was just appended to them."""
    waypoints = sorted({waypoint for append in appends for waypoint in append.items})
    return {
        **touched(appends),
        "$or": [{f"pendingProgress.{waypoint}.statements.{CROWDED}": {"$exists": True}} for waypoint in waypoints],
    }


def retract_updates(retraction: Retraction) -> Sequence[UpdateOne]:
    """Take evidence back: from pending at once, from what is counted or kept at the next fold.

    One update, so that for whoever reads the document an item that is pending was found after the retraction. Where
    something was found under a later version, that may be what is pending: there it stays, by the other update.
    """
    pulled = {
        f"pendingProgress.{waypoint}.statements": {"statement": {"$in": list(statements)}}
        for waypoint, statements in retraction.statements.items()
    }
    asked = {REPLAY: retraction_entry(retraction)}
    later = {"$gt": retraction.version}
    return (
        UpdateOne(
            {"_id": retraction.progress, "processing.version": {"$not": later}},
            {"$pull": pulled, "$addToSet": asked, "$max": {"processing.version": retraction.version}},
        ),
        UpdateOne({"_id": retraction.progress, "processing.version": later}, {"$addToSet": asked}),
    )


def begun_document(beginning: Beginning, lease: RelayLease | None, now: datetime) -> dict[str, Any]:
    """Return what to insert for a first promotion: the outbox in it is handed to a relay, or marked for any."""
    event = beginning.event
    processing = dict(beginning.document["processing"])
    if event:
        processing["outbox"] = [outbox_entry(event)]
        if lease and is_handy(event):
            processing["handed"] = handed(lease, event)
        else:
            processing["publish"] = now
    return {**beginning.document, "processing": processing}


def apply_update(
    promotion: Promotion, lock_key: str, until: datetime, now: datetime, outbox: Outbox = BUSY
) -> UpdateOne:
    """Write one promotion, all or nothing (P2), only under the worker's own lock (P1).

    The lease in the filter, and its unsetting in the update, make the lock single use: the same write again
    matches nothing, so that the outbox is never pushed twice (trap 3). Exactly the pending items that were read
    are pulled (trap 1), and the due mark is left alone: an append that came in between has set it again (P3).
    """
    update = _decided(promotion, now, outbox)
    pulled: Update = {
        f"pendingProgress.{waypoint}.statements": items_to(items) for waypoint, items in promotion.consumed.items()
    }
    if promotion.replayed:
        pulled[REPLAY] = list(promotion.replayed)
    if pulled:
        update["$pullAll"] = pulled
    if promotion.is_partial:
        update.setdefault("$min", {})["processing.due"] = now
    update.setdefault("$unset", {}).update({"processing.lease": "", "processing.holder": ""})
    condition = {"_id": promotion.progress, "lockKey": lock_key, "processing.lease": until}
    return UpdateOne(condition, update, hint=BY_ID)


def continue_update(continuation: Continuation, lock_key: str, now: datetime, lease: RelayLease | None) -> UpdateOne:
    """Write the next promotion of a document at rest, all or nothing (P2), only under the lock it was read with (P1).

    Whoever claims or promotes leaves another lock; so does this, a fresh one: the same write again matches nothing
    (trap 3). An append does not: so its evidence and its due mark are left alone (P3). Nothing is pulled, as what is
    counted never was pending. Not where evidence was found under a newer version since (trap 7), nor where a
    recalculation asks something: of two decisions on a statement the later one is to hold (core/retraction.py).
    """
    append = continuation.append
    update = _decided(continuation.promotion, now, Outbox(continuation.is_idle, lease))
    update.setdefault("$set", {}).update({"lockKey": lock_key, "processing.version": append.version})
    # A waypoint of which nothing was pending before gets its empty array, and one that has evidence by now keeps it.
    update["$addToSet"] = {f"pendingProgress.{waypoint}.statements": {"$each": []} for waypoint in append.items}
    condition = {
        "_id": continuation.progress,
        "lockKey": continuation.lock_key,
        "processing.version": {"$lte": append.version},
        f"{REPLAY}.0": {"$exists": False},
    }
    return UpdateOne(condition, update, hint=BY_ID)


def _decided(promotion: Promotion, now: datetime, outbox: Outbox) -> Update:
    """Write what a promotion decided; not what it consumed, nor anything about its lock.

    In an idle outbox stands nothing, or what is published: the event takes its place. Another has its event added, and
    is marked, as is one without a lease.
    """
    processing = {f"processing.{key}": value for key, value in promotion.processing.items()}
    sets: Update = {key: value for key, value in processing.items() if value is not None}
    sets.update(promotion.changed)
    unsets = dict.fromkeys(promotion.removed, "") | {key: "" for key, value in processing.items() if value is None}
    update: Update = {}
    if promotion.consumed or promotion.event:
        update["$max"] = {"updatedAt": sets.pop("updatedAt", now)}
    if event := promotion.event:
        sets["processing.revision"] = event.revision
        if outbox.is_idle:
            sets["processing.outbox"] = [outbox_entry(event)]
        else:
            update["$push"] = {"processing.outbox": outbox_entry(event)}
        if outbox.is_idle and outbox.lease and is_handy(event):
            sets["processing.handed"] = handed(outbox.lease, event)
        else:
            update["$min"] = {"processing.publish": now}
            if outbox.is_idle:
                unsets["processing.handed"] = ""
    if sets:
        update["$set"] = sets
    if unsets:
        update["$unset"] = unsets
    return update


def segment_document(segment: Segment, progress: ObjectId, now: datetime) -> dict[str, Any]:
    """Write attempts that leave a document; a segment is inserted once and never changed."""
    return {
        "_id": segment.id,
        "progress": progress,
        "first": segment.first,
        "attempts": list(segment.attempts),
        "createdAt": now,
    }


def nobodys_segments(promotion: Promotion, until: datetime) -> Filter:
    """Match what promotions that were fenced, or that a crash ended, have left; and what late evidence has replaced.

    Counted from the claim, not from now: what is older than a day and not named then, is in no later manifest,
    however late this is done. A reader that has the last manifest in hand finds all of it.
    """
    return {
        "progress": promotion.progress,
        "_id": {"$nin": list(promotion.named)},
        "createdAt": {"$lt": until - SEGMENTS_KEPT},
    }
