"""The outbox: how events wait in a progress document, and the writes by which a relay claims and forgets them.

The marks under `processing`:

- `publish`: the outbox has something to publish, since then. Set by an apply, cleared by a relay's claim, set
  again by a relay that could not publish all of it.
- `relayKey`, `relayLease` and `relayHolder`: claimed by a relay until then.
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


def relay_claim(lease: RelayLease, holder: Mapping[str, Any]) -> dict[str, Any]:
    """The fields under `processing` by which a relay holds an outbox."""
    return {"relayKey": lease.lock_key, "relayLease": lease.until, "relayHolder": holder}


def outbox_entry(event: ProgressEvent) -> dict[str, Any]:
    """Write an event as it waits in the outbox: its data as bytes, so that a repeat is the same to the letter."""
    return {"revision": event.revision, "time": event.time, "replay": event.replay, "data": event.data}


def event_from(progress: ObjectId, entry: Mapping[str, Any]) -> ProgressEvent:
    """Read an entry of the outbox."""
    return ProgressEvent(progress, entry["revision"], entry["time"], bytes(entry["data"]), entry["replay"])


def claim_events_update(relay_key: str, until: datetime, holder: Mapping[str, Any]) -> Update:
    """Take the relay's lock and clear the publish mark, before anybody reads the outbox."""
    claim = relay_claim(RelayLease(relay_key, until), holder)
    return {
        "$set": {f"processing.{key}": value for key, value in claim.items()},
        "$unset": {"processing.publish": ""},
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
        "$unset": {"processing.relayKey": "", "processing.relayLease": "", "processing.relayHolder": ""},
    }
    if left_since:
        update["$min"] = {"processing.publish": left_since}
    return update
