"""The next promotion of a document at rest, decided where its evidence is found: append, claim and apply in one.

One value, written by one update that lands only under the lock that the document was read with, and changes it, as all
who claim or promote do (P1): evidence, completions and outbox are durable together or not at all (P2, I1).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bson import ObjectId
from msgspec import Struct

from processor.core.evidence import Append, Promotion, has_idle_outbox
from processor.core.journey import JourneyRules
from processor.core.policy import FoldingPolicy
from processor.core.promotion import is_held_back, needed_version, promote_at_once


class Continuation(Struct, frozen=True):
    """What becomes of a document at rest by new evidence, decided under these `rules`.

    - `append` is what to do instead when somebody else was at it since; its version is that of the rules.
    - `lock_key`: the one that it was read with. Whoever claims or promotes it meanwhile leaves another.
    - `ident`: the owner's, as it stands in the document.
    - `is_idle`: whether no relay has anything to do with it, so that one may be given it by the same update.
    """

    append: Append
    rules: JourneyRules
    promotion: Promotion
    lock_key: str
    ident: Any
    is_idle: bool

    @property
    def progress(self) -> ObjectId:
        """The document's `_id`."""
        return self.append.progress


def go_on(
    append: Append,
    rules: JourneyRules | None,
    document: Mapping[str, Any],
    policy: FoldingPolicy,
    lock_key: str,
    now: datetime,
) -> Continuation | None:
    """Promote the document as the append would leave it. Raises what a document raises that was edited by hand.

    `lock_key` is the fresh one, under which the event tells of it; `now` is its `updatedAt`.

    None when it is not at rest, or a promoter knows better: other rules than the append's, more evidence than one
    promotion takes, attempts that have left the document or would. None, too, when nothing would change: what was read
    need not be durable yet, an append is.
    """
    if rules is None or not rules.is_running or rules.version != append.version:
        return None
    if not is_at_rest(document) or needed_version(document) > rules.version:
        return None
    promotion = promote_at_once({**document, "lockKey": lock_key}, append.items, rules, policy, now)
    if promotion is None or promotion.segments or not (promotion.event or promotion.processing):
        return None
    return Continuation(
        append=append,
        rules=rules,
        promotion=promotion,
        lock_key=document["lockKey"],
        ident=document["owner"]["ident"],
        is_idle=has_idle_outbox(document),
    )


def is_at_rest(document: Mapping[str, Any]) -> bool:
    """Tell whether all evidence of a document is folded, and nobody has, had to or is going to fold it.

    It was promoted before, which its lock tells; a recalculation asks nothing of it, and no attempts have left it.
    """
    processing = document["processing"]
    return (
        isinstance(document.get("lockKey"), str)
        and not any(key in processing for key in ("due", "lease", "waiting"))
        and not (processing.get("replay") or processing.get("spilled"))
        and isinstance(processing.get("outbox", []), list)
        and not any(entry["statements"] for entry in document["pendingProgress"].values())
        and not is_held_back(document)
    )
