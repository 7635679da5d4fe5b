"""Progress documents whole: with the attempts that have left them (`core/spilling.py`)."""

from collections.abc import Sequence

from processor.core.queries import OWN
from processor.core.spilling import segments_of, whole
from processor.store.connect import ATTEMPTS, Database, Document

JOINED = f"{OWN}attempts"
"""Where the server puts the segments of a document."""


async def with_attempts(database: Database, documents: Sequence[Document]) -> list[Document]:
    """Return the documents with all their attempts; nothing is asked of MongoDB when none have left.

    What late evidence has replaced stays until a later promotion lets attempts leave: whoever has just read the
    document finds all that it names. Raises KeyError when somebody has deleted a segment.
    """
    segments = segments_of(documents)
    if not segments:
        return list(documents)
    found = await database[ATTEMPTS].find({"_id": {"$in": segments}}, {"attempts": 1}).to_list()
    attempts = {segment["_id"]: segment["attempts"] for segment in found}
    return [whole(it, attempts) if segments_of([it]) else it for it in documents]


def joining() -> list[Document]:
    """Return the stages that do the same in MongoDB."""
    return [
        {
            "$lookup": {
                "from": ATTEMPTS,
                "localField": "processing.spilled.segment",
                "foreignField": "_id",
                "as": JOINED,
            }
        },
        {"$addFields": {"completions": {"$cond": [{"$eq": [f"${JOINED}", []]}, "$completions", _joined()]}}},
        {"$unset": JOINED},
    ]


def _joined() -> Document:
    """In the order of the manifest; what a join finds has none."""
    named = {"$filter": {"input": f"${JOINED}", "as": "it", "cond": {"$eq": ["$$it._id", "$$segment"]}}}
    segments = {"$map": {"input": "$processing.spilled.segment", "as": "segment", "in": {"$first": named}}}
    joined = {"$concatArrays": ["$$value", "$$this.attempts"]}
    return {"$concatArrays": [{"$reduce": {"input": segments, "initialValue": [], "in": joined}}, "$completions"]}
