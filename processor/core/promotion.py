"""Promotion: a claimed progress document and its journey to what one update writes (semantics.md, sections 4 to 7).

P2: everything a promotion decides (completions, consumed pending, outbox) is one value, written by one update.
Promoting a promoted document decides nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from processor.core.changes import changes_between
from processor.core.completions import DurationUnit, attempt_to, attempts_from, items_from, items_to, summary
from processor.core.evidence import Item, ProgressEvent, Promotion
from processor.core.fold import Attempt, Tell, fold, tell_nobody
from processor.core.journey import JourneyRules
from schemas.progress import render_progress

DATES = ("startedAt", "completedAt", "duration")


@dataclass(frozen=True, slots=True)
class FoldingPolicy:
    """The settings SURPLUS_LIMIT, LATENESS_HORIZON and DURATION_UNIT."""

    surplus_limit: int = 100
    lateness_horizon: timedelta = timedelta(days=30)
    duration_unit: DurationUnit = "microseconds"


def needed_version(document: Mapping[str, Any]) -> int:
    """The least journey version a promoter has to know before it folds this document (trap 7).

    An older snapshot could drop evidence of a waypoint that it has never heard of.
    """
    processing = document["processing"]
    return int(max(processing.get("version", 0), processing.get("folded", 0)))


def promote(
    document: Mapping[str, Any],
    rules: JourneyRules | None,
    policy: FoldingPolicy,
    now: datetime,
    tell: Tell = tell_nobody,
) -> Promotion:
    """Decide what becomes of a claimed document; `now` is only written as `updatedAt` and the event's time.

    Without rules (the journey is gone or broken), or while the journey or all its waypoints are inactive, the
    document keeps its evidence and waits.
    """
    if rules is None or not rules.is_running:
        return _decided(document, {}, [], {"waiting": True}, {})

    processing = document["processing"]
    pending = {key: items_from(entry["statements"]) for key, entry in document["pendingProgress"].items()}
    surplus = {key: items_from(statements) for key, statements in processing.get("surplus", {}).items()}
    before = attempts_from(document["completions"])
    newest = _newest(processing.get("newest"), pending)
    sealed = _sealed(processing, before, rules.version, newest, policy.lateness_horizon)

    counted = [attempt.counted for attempt in before[sealed:]]
    folded = fold(rules, [*counted, surplus, pending], before[:sealed], tell)
    kept, cut = _cut(folded.surplus, rules, policy.surplus_limit)
    dropped = {**folded.dropped, "surplus-cut": cut} if cut else folded.dropped
    notes = {
        "surplus": {key: items_to(items) for key, items in kept.items()},
        "sealed": sealed,
        "newest": newest,
        "folded": rules.version,
        "waiting": None,
        "cut": processing.get("cut", 0) + cut or None,
    }

    # Sealed attempts are copied, not written again: they are never changed.
    completions = [*document["completions"][:sealed], *map(attempt_to, folded.attempts[sealed:])]
    public = {"completions": completions, **summary(folded.attempts, policy.duration_unit)}
    changed = {key: value for key, value in public.items() if document.get(key) != value}
    removed = [key for key in DATES if key in document and key not in public]
    event = None
    if changed or removed:
        event = _event(document, changed, removed, (before, folded.attempts), now)
    return _decided(document, changed, removed, notes, dropped, consumed=pending, event=event)


def _decided(
    document: Mapping[str, Any],
    changed: Mapping[str, Any],
    removed: Sequence[str],
    notes: Mapping[str, Any],
    dropped: Mapping[str, int],
    *,
    consumed: Mapping[str, tuple[Item, ...]] | None = None,
    event: ProgressEvent | None = None,
) -> Promotion:
    processing = document["processing"]
    return Promotion(
        progress=document["_id"],
        consumed={key: items for key, items in (consumed or {}).items() if items},
        changed=changed,
        removed=tuple(removed),
        processing={key: value for key, value in notes.items() if processing.get(key) != value},
        event=event,
        dropped=dropped,
    )


def _newest(known: datetime | None, pending: Mapping[str, Sequence[Item]]) -> datetime | None:
    times = [item.timestamp for items in pending.values() for item in items]
    return max([*times, known] if known else times, default=None)


def _sealed(
    processing: Mapping[str, Any],
    attempts: Sequence[Attempt],
    version: int,
    newest: datetime | None,
    horizon: timedelta,
) -> int:
    """Count the attempts, oldest first, that late evidence may not change any more (semantics.md, section 4)."""
    is_older_version = processing.get("folded", version) != version
    sealed: int = processing.get("sealed", 0)
    for attempt in attempts[sealed:]:
        if attempt.completed_at is None:
            break
        is_out_of_reach = newest is not None and newest - attempt.completed_at > horizon
        if not (is_older_version or is_out_of_reach):
            break
        sealed += 1
    return sealed


def _cut(surplus: Mapping[str, list[Item]], rules: JourneyRules, limit: int) -> tuple[dict[str, list[Item]], int]:
    """Keep the earliest `limit` items per waypoint; an inactive waypoint keeps all of its evidence and waits."""
    kept = {key: items[:limit] if key in rules.active_waypoints else items for key, items in surplus.items()}
    return {key: items for key, items in kept.items() if items}, sum(
        len(items) - len(kept[key]) for key, items in surplus.items()
    )


def _event(
    document: Mapping[str, Any],
    changed: Mapping[str, Any],
    removed: Sequence[str],
    attempts: tuple[Sequence[Attempt], Sequence[Attempt]],
    now: datetime,
) -> ProgressEvent:
    after = {key: value for key, value in document.items() if key not in removed} | {**changed, "updatedAt": now}
    data = {**render_progress(after, with_pending=False), "changes": changes_between(*attempts)}
    return ProgressEvent(
        progress=document["_id"],
        revision=document["processing"].get("revision", 0) + 1,
        time=now,
        data=orjson.dumps(data),
    )
