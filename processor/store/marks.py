"""The marks of a progress document under `processing`: who is to do what with it, and the lock.

- `due`: there is something to promote, since then. Set by an append, cleared by a claim. `$min` keeps the earliest:
  a learner who produces without a pause keeps the place in the queue, and the index is left alone.
- `lockKey` (public) and `lease`: claimed by the owner of the key until then. `lockKey` stays after use, as Learning
  Locker's does; it is the lease's going that uses it up. `holder` is for people: which worker it is, since when.
- `replay`: what a recalculation has asked of the document since it was last folded (`core/retraction.py`). It is no
  mark of its own: at its end a recalculation marks due what has such entries, so that each document is folded once.

Those of the outbox stand in `outbox.py`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId

from processor.store.outbox import Update

BY_JOURNEY = [("organisation", 1), ("journey", 1), ("_id", 1)]
"""The index that a journey's documents are gone through by, page by page."""

REPLAY = "processing.replay"

Filter = dict[str, Any]

AT_REST: Filter = {"processing.due": None, "processing.lease": None, "processing.waiting": None}
"""Nobody is going to fold it; one that waits for its journey is woken with it."""

CONTINUABLE: Filter = AT_REST | {
    f"{REPLAY}.0": {"$exists": False},
    "processing.spilled.0": {"$exists": False},
    "processing.outbox.20": {"$exists": False},
}
"""About what `continuation.is_at_rest` says, which looks closer: all else need not be read."""

IN_WORK: Filter = {"$or": [{"processing.due": {"$exists": True}}, {"processing.lease": {"$exists": True}}]}
"""Due, or claimed by a promoter."""


def is_free(lease: str, now: datetime) -> Filter:
    """Match documents whose lease was never taken, was given back, or ran out."""
    return {"$or": [{lease: None}, {lease: {"$lt": now}}]}


def claimable(mark: str, lease: str, ids: Sequence[ObjectId], now: datetime) -> Filter:
    """Match those of `ids` that still may be claimed: marked and free, or with a lease that ran out."""
    return {
        "_id": {"$in": list(ids)},
        "$or": [{mark: {"$exists": True}, lease: None}, {lease: {"$lt": now}}],
    }


def claim_update(lock_key: str, until: datetime, holder: Mapping[str, Any]) -> Update:
    """Take the lock and clear the due mark, before anybody reads pending (trap 2, P3)."""
    return {
        "$set": {"lockKey": lock_key, "processing.lease": until, "processing.holder": holder},
        "$unset": {"processing.due": ""},
    }


def stale(versions: Mapping[ObjectId, int]) -> list[Filter]:
    """Match the journeys' documents that are claimed, that wait, and those folded under an older version.

    Not those that are due already. One filter each, as each has its index; and in this order: what a promoter lands
    meanwhile is no longer claimed, and then it waits or is older.
    """
    alike: dict[int, list[ObjectId]] = defaultdict(list)
    for journey, version in versions.items():
        alike[version].append(journey)
    journeys = {"journey": {"$in": list(versions)}, "processing.due": None}
    return [
        journeys | {"processing.lease": {"$exists": True}},
        journeys | {"processing.waiting": True},
        *(
            {"journey": {"$in": those}, "processing.folded": {"$lt": version}, "processing.due": None}
            for version, those in alike.items()
        ),
    ]


def due_update(now: datetime) -> Update:
    """Mark a document due without an append: its journey has changed."""
    return {"$min": {"processing.due": now}}


def replayed(journey: ObjectId) -> Filter:
    """Match the journey's documents of which a recalculation has asked something that is not folded yet."""
    return {f"{REPLAY}.version": {"$exists": True}, "journey": journey}
