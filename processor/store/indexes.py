"""Every index, as data. Each is paid at every write, so there are few, and those of the marks are partial.

`due`, `lease`, `publish` and `relayLease` let a claim find its documents; a document at rest is in none of them. Those
of the interfaces begin with the organisation that every query is confined to; only the one by `updatedAt` is written
after a document's first write.
"""

from pymongo import ASCENDING, IndexModel

from processor.store.connect import JOURNEYS, PROGRESSES, Database
from processor.store.failures import translated

MARKS = ("processing.due", "processing.lease", "processing.publish", "processing.relayLease")

INDEXES: dict[str, list[IndexModel]] = {
    PROGRESSES: [
        *(IndexModel([(mark, ASCENDING)], name=mark.replace(".", "_"), sparse=True) for mark in MARKS),
        # By journey, for readers; with the folded version, to find what a changed journey has to fold again.
        IndexModel([("journey", ASCENDING), ("processing.folded", ASCENDING)], name="journey_folded"),
        # The documents that wait for an inactive journey: all of them to be counted, a journey's to be woken.
        IndexModel(
            [("processing.waiting", ASCENDING), ("journey", ASCENDING)],
            name="waiting_journey",
            partialFilterExpression={"processing.waiting": True},
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
    JOURNEYS: [IndexModel([("organisation", ASCENDING), ("_id", ASCENDING)], name="organisation_id")],
}


async def ensure_indexes(database: Database) -> None:
    """Create what is missing; running it again is harmless."""
    with translated():
        for collection, indexes in INDEXES.items():
            await database[collection].create_indexes(indexes)
