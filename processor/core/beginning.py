"""The first promotion of a document that is not there yet: what append, claim and apply would have made of it.

One value, written by one insert: the derived `_id` is the lock (P1), and evidence, completions and outbox are durable
together or not at all (P2, I1).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from processor.core.document import empty_document
from processor.core.evidence import Append, Key, ProgressEvent
from processor.core.journey import JourneyRules
from processor.core.policy import FoldingPolicy
from processor.core.promotion import promote_at_once


class Beginning(Struct, frozen=True):
    """A new document as it stands after its first promotion; the store adds the outbox and who publishes it.

    `append` is what to do instead when somebody else was first. `event`, `finished` and `dropped` are the promotion's,
    which was decided under these `rules`.
    """

    append: Append
    rules: JourneyRules
    document: Mapping[str, Any]
    event: ProgressEvent | None
    finished: Key | None
    dropped: Mapping[str, int]


def begin(
    append: Append, rules: JourneyRules | None, policy: FoldingPolicy, lock_key: str, now: datetime
) -> Beginning | None:
    """Promote the document that the append would make.

    None when the rules are not those of the append's version, or when there is more evidence than one promotion and
    one document take. Then it takes the usual way: a promoter refreshes before it folds (trap 7).
    """
    if rules is None or not rules.is_running or rules.version != append.version:
        return None
    new = {**new_document(append, now), "lockKey": lock_key}
    promotion = promote_at_once(new, append.items, rules, policy, now)
    if promotion is None or promotion.segments:
        return None
    processing = {**new["processing"], **promotion.processing}
    if promotion.event:
        processing["revision"] = promotion.event.revision
    document = {
        **new,
        **promotion.changed,
        "processing": {name: value for name, value in processing.items() if value is not None},
    }
    return Beginning(append, rules, document, promotion.event, promotion.finished, promotion.dropped)


def new_document(append: Append, now: datetime) -> dict[str, Any]:
    """Return the document that an append makes where none is, without its evidence and a due mark."""
    document = empty_document(append.progress, append.journey, append.organisation, append.owner, now)
    document["pendingProgress"] = {waypoint: {"statements": []} for waypoint in append.items}
    document["processing"]["version"] = append.version
    return document
