"""The outbox: how events wait in a progress document, and the writes by which a relay claims and forgets them.

The marks under `processing`:

- `publish`: the outbox has something to publish, since then. Set by an apply, cleared by a relay's claim, set
  again by a relay that could not publish all of it.
- `relayKey`, `relayLease` and `relayHolder`: claimed by a relay until then.
- `handed`: handed to the relay of the process that wrote the one event of an outbox that was idle, which keeps account
  of what it has published (`core/relaying.py`, `relays.py`); the next event takes the place of one that is.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from bson import ObjectId
from pymongo import UpdateMany

from processor.core.evidence import ProgressEvent
from processor.ports.progress import RelayLease

Update = dict[str, Any]

BY_ID = [("_id", 1)]
"""The index that an update of known documents is to use; the other conditions only decide whether it still may."""


def handed(lease: RelayLease, event: ProgressEvent) -> dict[str, Any]:
    """The mark of an outbox that is handed to a relay."""
    return {"relay": lease.relay, "number": lease.number, "revision": event.revision}


def outbox_entry(event: ProgressEvent) -> dict[str, Any]:
    """Write an event as it waits in the outbox: its data as bytes, so that a repeat is the same to the letter."""
    return {"revision": event.revision, "time": event.time, "replay": event.replay, "data": event.data}


def events_from(document: Mapping[str, Any]) -> tuple[ProgressEvent, ...]:
    """Read the outbox of a document."""
    progress, entries = document["_id"], document["processing"].get("outbox", ())
    return tuple(ProgressEvent(progress, it["revision"], it["time"], bytes(it["data"]), it["replay"]) for it in entries)


def claim_events_update(relay_key: str, until: datetime, holder: Mapping[str, Any]) -> Update:
    """Take the relay's lock and clear the publish mark, before anybody reads the outbox."""
    return {
        "$set": {
            "processing.relayKey": relay_key,
            "processing.relayLease": until,
            "processing.relayHolder": holder,
        },
        "$unset": {"processing.publish": ""},
    }


FREED = {"processing.relayKey": "", "processing.relayLease": "", "processing.relayHolder": ""}
"""What goes with a relay's lock."""


def give_back_update(now: datetime) -> Update:
    """Give the relay's lock back with nothing published, and mark the document again, behind those that wait."""
    return {
        "$min": {"processing.publish": now},
        "$unset": FREED,
    }


class Forget(NamedTuple):
    """Removes published events. The documents are marked again, with an old instant, if there are events left."""

    write: UpdateMany
    left_since: datetime | None


def forget_updates(
    outboxes: Mapping[ObjectId, Sequence[ProgressEvent]], published: Mapping[ObjectId, int], relay_key: str
) -> list[Forget]:
    """Remove the events up to each revision, never a later one, and give the lease back, under the relay's own key.

    Claimed events that are left were not published. The claim has cleared their mark: it has to come back with the
    same update, or no relay would ever look at them again (R1). Documents that need the same update share one, nearly
    all of them: mongod spends more on planning an update by `_id` and a key than on doing it.
    """
    alike: dict[tuple[int, datetime | None], list[ObjectId]] = defaultdict(list)
    for progress, revision in published.items():
        left = [event.time for event in outboxes[progress] if event.revision > revision]
        alike[revision, min(left, default=None)].append(progress)
    return [
        Forget(
            UpdateMany(
                {"_id": {"$in": ids}, "processing.relayKey": relay_key}, _forgetting(revision, left), hint=BY_ID
            ),
            left,
        )
        for (revision, left), ids in alike.items()
    ]


def _forgetting(revision: int, left_since: datetime | None) -> Update:
    update: Update = {
        "$pull": {"processing.outbox": {"revision": {"$lte": revision}}},
        "$unset": FREED,
    }
    if left_since:
        update["$min"] = {"processing.publish": left_since}
    return update
