"""Every index, as data. Each is paid at every write, so there are few, and those of the marks are partial.

`due`, `lease`, `publish` and `relayLease` let a claim find its documents; a document at rest is in none of them. In
that of what was handed to relays it stays until its next event: to take it out would be an update more. Those of
the interfaces begin with the organisation that every query is confined to; only the one by `updatedAt` is written
after a document's first write.
"""

from pymongo import ASCENDING, IndexModel
from pymongo.errors import OperationFailure

from processor.errors import Misfit
from processor.store.connect import ATTEMPTS, JOURNEYS, PROGRESSES, RECALCULATIONS, RELAYS, Database
from processor.store.failures import translated

MARKS = ("processing.due", "processing.lease", "processing.publish", "processing.relayLease")

CONFLICTS = (85, 86)
"""IndexOptionsConflict and IndexKeySpecsConflict."""

INDEXES: dict[str, list[IndexModel]] = {
    PROGRESSES: [
        # What was handed to a relay, to find what it has not published; a document stays in it until its next event.
        IndexModel(
            [("processing.handed.relay", ASCENDING), ("processing.handed.number", ASCENDING)],
            name="handed_relay_number",
            sparse=True,
        ),
        *(IndexModel([(mark, ASCENDING)], name=mark.replace(".", "_"), sparse=True) for mark in MARKS),
        # By journey, for readers; with the folded version, to find what a changed journey has to fold again.
        IndexModel([("journey", ASCENDING), ("processing.folded", ASCENDING)], name="journey_folded"),
        # The documents that wait for an inactive journey: all of them to be counted, a journey's to be woken.
        IndexModel(
            [("processing.waiting", ASCENDING), ("journey", ASCENDING)],
            name="waiting_journey",
            partialFilterExpression={"processing.waiting": True},
        ),
        # A recalculation: the documents it has touched and nobody has folded yet.
        IndexModel(
            [("processing.replay.version", ASCENDING), ("journey", ASCENDING)],
            name="replay_journey",
            partialFilterExpression={"processing.replay.version": {"$exists": True}},
        ),
        IndexModel([("organisation", ASCENDING), ("_id", ASCENDING)], name="organisation_id"),
        IndexModel(
            [("organisation", ASCENDING), ("journey", ASCENDING), ("_id", ASCENDING)], name="organisation_journey_id"
        ),
        IndexModel(
            [("organisation", ASCENDING), ("updatedAt", ASCENDING), ("_id", ASCENDING)],
            name="organisation_updatedAt_id",
        ),
        # By any part of an actor, or by a persona: callers name owners in many ways, and an owner never changes.
        IndexModel([("owner.ident.$**", ASCENDING)], name="owner_ident"),
    ],
    # The attempts that have left a document, to find what no manifest names any more.
    ATTEMPTS: [IndexModel([("progress", ASCENDING), ("createdAt", ASCENDING)], name="progress_createdAt")],
    JOURNEYS: [IndexModel([("organisation", ASCENDING), ("_id", ASCENDING)], name="organisation_id")],
    RECALCULATIONS: [IndexModel([("stage", ASCENDING)], name="stage", sparse=True)],
    RELAYS: [IndexModel([("until", ASCENDING)], name="until", sparse=True)],
}


async def ensure_indexes(database: Database) -> None:
    """Create what is missing; running it again is harmless. Raises `Misfit` when another index is in the way."""
    with translated():
        for collection, indexes in INDEXES.items():
            try:
                await database[collection].create_indexes(indexes)
            except OperationFailure as error:
                if error.code not in CONFLICTS:
                    raise
                raise Misfit(
                    f"collection {collection} has another index where one of ours belongs: drop it, and ours is made "
                    f"at the next start ({str(error)[:300]})"
                ) from None
