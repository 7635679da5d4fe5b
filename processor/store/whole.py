"""Progress documents whole: with the attempts that have left them (`core/spilling.py`)."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from bson import ObjectId

from processor.core.queries import OWN
from processor.core.rereading import BROKEN
from processor.core.spilling import segments_of, whole
from processor.store.connect import ATTEMPTS, Database, Document

OURS: Document = {"processing": {"$exists": True}}
"""The collection has Learning Locker's name: documents of its own may stand there, too."""

JOINED = f"{OWN}attempts"
"""Where the server puts the segments of a document."""


async def with_attempts(database: Database, documents: Sequence[Document]) -> list[Document]:
    """Return the documents with all their attempts; nothing is asked of MongoDB when none have left.

    What late evidence has replaced stays until a later promotion lets attempts leave: whoever has just read the
    document finds all that it names. One that was edited by hand, or of which somebody has deleted a segment, is
    returned as it is.
    """
    segments: list[ObjectId] = []
    for document in documents:
        with suppress(*BROKEN):
            segments += segments_of([document])
    if not segments:
        return list(documents)
    found = await database[ATTEMPTS].find({"_id": {"$in": segments}}, {"attempts": 1}).to_list()
    attempts = {segment["_id"]: segment["attempts"] for segment in found}
    return [_whole(it, attempts) for it in documents]


def _whole(document: Document, attempts: Mapping[ObjectId, Sequence[Mapping[str, Any]]]) -> Document:
    try:
        return whole(document, attempts) if segments_of([document]) else document
    except BROKEN:
        return document


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


def counting(name: str) -> list[Document]:
    """Return the stage that only says under a name how many attempts have left a document, if any have."""
    number = {"$sum": "$processing.spilled.attempts"}
    return [{"$addFields": {name: {"$cond": [{"$gt": [number, 0]}, number, "$$REMOVE"]}}}]


def _joined() -> Document:
    """In the order of the manifest; what a join finds has none. Where a segment is gone, what is in the document."""
    named = {"$filter": {"input": f"${JOINED}", "as": "it", "cond": {"$eq": ["$$it._id", "$$segment"]}}}
    segments = {"$map": {"input": "$processing.spilled.segment", "as": "segment", "in": {"$first": named}}}
    joined = {"$concatArrays": ["$$value", "$$this.attempts"]}
    attempts = {"$reduce": {"input": segments, "initialValue": [], "in": joined}}
    return {"$ifNull": [{"$concatArrays": [attempts, "$completions"]}, "$completions"]}
