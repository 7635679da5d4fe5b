"""What writes do to a progress document in memory, as `store/updates.py` says it to MongoDB."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any, Literal

from bson import ObjectId

from processor.core.completions import items_to
from processor.core.evidence import ProgressEvent, Promotion
from processor.core.relaying import handed_of, is_handy
from processor.ports.progress import BUSY, Lock, Outbox, RelayLease

Document = dict[str, Any]


def as_stored(document: Document) -> Document:
    """Return a copy with the outbox as it stands in MongoDB."""
    copy = deepcopy(document)
    if "outbox" in copy["processing"]:
        copy["processing"]["outbox"] = [
            {"revision": it.revision, "data": it.data} for it in copy["processing"]["outbox"]
        ]
    return copy


def is_in_work(processing: Document) -> bool:
    """Tell a document that is not at rest; see `store/marks.py`, CONTINUABLE."""
    marks = any(key in processing for key in ("due", "lease", "waiting"))
    return (
        marks or bool(processing.get("replay") or processing.get("spilled")) or len(processing.get("outbox", ())) > 20
    )


def mark(processing: Document, mark: str, now: datetime) -> None:
    """Set a mark, unless an earlier one stands: it tells since when there is something to do."""
    processing[mark] = min(processing.get(mark, now), now)


def ask(processing: Document, entry: Document) -> None:
    """Add what a recalculation asks, once."""
    if entry not in (asked := processing.setdefault("replay", [])):
        asked.append(entry)


def lock_of(
    progress: ObjectId, loop: Literal["promote", "relay"], lock_key: str, until: datetime, holder: Document
) -> Lock:
    """Return who holds a document."""
    return Lock(progress, loop, lock_key, until, holder["worker"] or None, holder["since"])


def mark_outbox(processing: Document, event: ProgressEvent, lease: RelayLease | None, now: datetime) -> None:
    """Hand an outbox of one event to a relay, or mark it for any."""
    if lease and is_handy(event):
        processing["handed"] = {"relay": lease.relay, "number": lease.number, "revision": event.revision}
    else:
        processing.pop("handed", None)
        mark(processing, "publish", now)


def hand_to_any(processing: Document, now: datetime) -> None:
    """Take what one relay was handed, and mark it for any."""
    del processing["handed"]
    mark(processing, "publish", now)


def is_handed_under(document: Document, lease: RelayLease | None) -> bool:
    """Tell whether an outbox was handed over under a lease."""
    handed = handed_of(document)
    return bool(lease and handed and handed[:2] == (lease.relay, lease.number))


def forget(processing: Document, revision: int, left: Sequence[datetime]) -> None:
    """Remove the events up to a revision and give the lease back; `left` are the times of what was not published."""
    processing["outbox"] = [event for event in processing.get("outbox", ()) if event.revision > revision]
    if left:
        mark(processing, "publish", min(left))  # the claim has cleared their mark
    del processing["relayKey"], processing["relayLease"], processing["relayHolder"]


def is_free(document: Document, lease: str, now: datetime) -> bool:
    """Tell a document without a lease, or with one that ran out."""
    return lease not in document["processing"] or is_expired(document, lease, now)


def is_expired(document: Document, lease: str, now: datetime) -> bool:
    """Tell one with a lease that ran out."""
    return lease in document["processing"] and document["processing"][lease] < now


def apply_promotion(document: Document, promotion: Promotion, now: datetime, outbox: Outbox = BUSY) -> None:
    """Write all of a promotion into the document (P2); the lease goes, and uses the lock up."""
    processing = document["processing"]
    for waypoint, items in promotion.consumed.items():
        entry = document["pendingProgress"][waypoint]
        entry["statements"] = [it for it in entry["statements"] if it not in items_to(items)]
    if promotion.replayed:
        processing["replay"] = [it for it in processing["replay"] if it not in promotion.replayed]
    decide(document, promotion, now, outbox)
    if promotion.is_partial:
        mark(processing, "due", now)
    processing.pop("lease", None)
    processing.pop("holder", None)


def decide(document: Document, promotion: Promotion, now: datetime, outbox: Outbox) -> None:
    """Write what a promotion decided; not what it consumed, nor anything about its lock."""
    processing, stood = document["processing"], document["updatedAt"]
    document.update(deepcopy(dict(promotion.changed)))
    for name in promotion.removed:
        document.pop(name, None)
    for name, value in promotion.processing.items():
        if value is None:
            processing.pop(name, None)
        else:
            processing[name] = deepcopy(value)
    if promotion.consumed or promotion.event:
        document["updatedAt"] = max(stood, promotion.changed.get("updatedAt", now))
    if promotion.event:
        processing["revision"] = promotion.event.revision
        if outbox.is_idle:
            processing["outbox"] = [promotion.event]
            mark_outbox(processing, promotion.event, outbox.lease, now)
        else:
            processing["outbox"] = [*processing.get("outbox", ()), promotion.event]
            mark(processing, "publish", now)


def claimable(documents: Iterable[Document], mark: str, lease: str, now: datetime, limit: int) -> list[Document]:
    """Return at most `limit`: whose lease ran out, up to half, who is marked and free, longest first, then others.

    Who is both may come twice.
    """
    documents = list(documents)
    expired = [it for it in documents if is_expired(it, lease, now)]
    marked = [it for it in documents if mark in it["processing"] and is_free(it, lease, now)]
    marked.sort(key=lambda it: it["processing"][mark])
    found = expired[: limit // 2]
    found += marked[: limit - len(found)]
    return [*found, *expired[limit // 2 :][: limit - len(found)]]
