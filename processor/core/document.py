"""A progress document in which there is nothing yet (semantics.md, section 5)."""

from datetime import datetime
from typing import Any

from bson import ObjectId

from processor.core.evidence import Owner


def empty_document(
    progress: ObjectId, journey: ObjectId, organisation: ObjectId, owner: Owner, now: datetime
) -> dict[str, Any]:
    """Return a new document of an owner who has done nothing; `progress` is its derived `_id`."""
    return {
        "_id": progress,
        "journey": journey,
        "organisation": organisation,
        "owner": {"trackBy": owner.track_by, "ident": owner.ident},
        "createdAt": now,
        "updatedAt": now,
        "isCompleted": False,
        "completions": [],
        "pendingProgress": {},
        "processing": {"revision": 0},
    }
