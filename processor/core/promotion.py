"""Promotion: a claimed progress document and its journey to what one update writes (semantics.md, sections 4 to 7).

P2: everything a promotion decides (completions, consumed pending, outbox) is one value, written by one update.
Promoting a promoted document decides nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from processor.core.changes import Change, changes_between
from processor.core.completions import attempt_to, attempts_from, items_from, items_to, summary
from processor.core.evidence import Item, Key, ProgressEvent, Promotion
from processor.core.fold import Attempt, Evidence, Outcome, Tell, fold, tell_nobody
from processor.core.journey import JourneyRules
from processor.core.policy import UNLIMITED, FoldingPolicy
from processor.core.retraction import evidence_left
from processor.core.sealing import newest_of, sealed_of
from processor.core.spilling import Away, Spilling, count_of, joined, pending_after, spill, split
from processor.core.taking import Taken, listed_in, taken
from schemas.progress import public_state
from schemas.rendering import to_json

DATES = ("startedAt", "completedAt", "duration")

SURPLUS_CUT = "surplus-cut"
"""Why evidence left for good that is beyond the surplus limit; the other reasons are the fold's."""

OUTBOX_BYTES = 4_194_304
"""Events of a document that may wait: with more of them nothing is promoted until a relay has published some."""


def needed_version(document: Mapping[str, Any]) -> int:
    """The least journey version a promoter has to know before it folds this document (trap 7).

    An older snapshot could drop evidence of a waypoint that it has never heard of.
    """
    processing = document["processing"]
    return int(max(processing.get("version", 0), processing.get("folded", 0)))


def is_held_back(document: Mapping[str, Any]) -> bool:
    """Tell whether too many events of a claimed document wait for a relay."""
    return sum(len(entry["data"]) for entry in document["processing"].get("outbox", ())) > OUTBOX_BYTES


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
        return Promotion(document["_id"], _news(document, {"waiting": True}))
    listed = listed_in(document)
    policy = policy.for_pending(sum(map(len, listed.values())))
    return _promoted(document, taken(document, listed, policy.pending_limit), rules, policy, now, tell)


def promote_at_once(
    document: Mapping[str, Any],
    found: Evidence,
    rules: JourneyRules,
    policy: FoldingPolicy,
    now: datetime,
) -> Promotion | None:
    """Decide what becomes of evidence that was found for a document in which nothing is pending, and nothing asked.

    As `promote` does once it is appended. None where that would take more than one promotion.
    """
    if any(len(items) > policy.pending_limit for items in found.values()):
        return None
    policy = policy.for_pending(sum(map(len, found.values())))
    return _promoted(document, Taken(found), rules, policy, now, tell_nobody)


class _Folded(NamedTuple):
    """What the fold made of a document's evidence, beside its attempts `before`.

    The `first` of the `attempts` are sealed, and as they were; those that are `away` come before all of these. `notes`
    is what stands under `processing` afterwards.
    """

    before: Sequence[Attempt]
    attempts: Sequence[Attempt]
    first: int
    away: Away
    dropped: Mapping[str, int]
    notes: dict[str, Any]


def _promoted(
    document: Mapping[str, Any],
    take: Taken,
    rules: JourneyRules,
    policy: FoldingPolicy,
    now: datetime,
    tell: Tell,
) -> Promotion:
    folded = _folded(document, take, rules, policy, tell)
    # Sealed attempts are copied, not written again: they are never changed.
    completions = [*document["completions"][: folded.first], *map(attempt_to, folded.attempts[folded.first :])]
    public = {"completions": completions, **_summary(document, folded.away, folded.attempts, policy)}
    changed = {key: value for key, value in public.items() if document.get(key) != value}
    removed = [key for key in DATES if key in document and key not in public]
    event, spilling = None, Spilling((), ())
    if changed or removed:
        spilling = spill(completions, folded.away.manifest, document, policy.document_bytes)
        changed["completions"] = spilling.kept
        changed["updatedAt"] = _updated(document, now)
        folded.notes["spilled"] = spilling.manifest or None
        changes = changes_between(folded.before, folded.attempts, replay=bool(take.asked), first=folded.away.attempts)
        event = _event(document, changed, removed, changes[-policy.changes :], count_of(spilling.manifest), now)
    return Promotion(
        progress=document["_id"],
        processing=_news(document, folded.notes),
        consumed={key: tuple(items) for key, items in take.pending.items() if items},
        changed=changed,
        removed=tuple(removed),
        event=event,
        dropped=folded.dropped,
        replayed=take.replayed,
        finished=_finished(rules, folded.attempts),
        is_partial=take.is_partial,
        segments=spilling.segments,
        named=spilling.named,
    )


def _folded(
    document: Mapping[str, Any], take: Taken, rules: JourneyRules, policy: FoldingPolicy, tell: Tell
) -> _Folded:
    """Fold what may still be changed: the attempts that are not sealed, the surplus, and what is taken of pending."""
    processing, left = document["processing"], evidence_left(take.asked, rules.version)
    surplus = left({key: items_from(items) for key, items in processing.get("surplus", {}).items()})
    before = attempts_from(document["completions"])
    away = Away.of(processing.get("spilled", ()))
    horizon = UNLIMITED if take.asked else policy.lateness_horizon
    # By the newest that was known before: what comes together is no later for each other (F1).
    sealed, sealed_away = sealed_of(processing, before, rules.version, processing.get("newest"), horizon)
    first = max(sealed - away.attempts, 0)

    counted = [left(attempt.counted) for attempt in before[first:]]
    aside, surplus = split(surplus, rules, away.last)
    fresh = pending_after(take.pending, rules, away.last)
    folded = fold(rules, [*counted, surplus, fresh], before[:first], tell, away.last)
    obsolete, aside = split(aside, rules, sealed_away)
    kept, cut = _cut(joined(aside, folded.surplus), rules, policy.surplus_limit)
    notes = {
        "surplus": {key: items_to(items) for key, items in kept.items()},
        "sealed": sealed,
        "newest": newest_of(processing.get("newest"), take.pending),
        "folded": rules.version,
        "waiting": None,
        "cut": processing.get("cut", 0) + cut or None,
    }
    return _Folded(before, folded.attempts, first, away, _dropped(folded.dropped, obsolete, cut), notes)


def _news(document: Mapping[str, Any], notes: Mapping[str, Any]) -> dict[str, Any]:
    """Return those notes that are not in the document already."""
    known = document["processing"]
    return {key: value for key, value in notes.items() if known.get(key) != value}


def _finished(rules: JourneyRules, attempts: Sequence[Attempt]) -> Key | None:
    """Return the last counted item when nothing later can count any more."""
    is_over = not rules.is_repeatable and attempts and attempts[-1].completed_at is not None
    return attempts[-1].last if is_over else None


def _summary(
    document: Mapping[str, Any], away: Away, attempts: Sequence[Attempt], policy: FoldingPolicy
) -> dict[str, Any]:
    """Return the dates of the first attempt; while it is away they stay as they are."""
    if away.attempts:
        return {key: document[key] for key in ("isCompleted", *DATES) if key in document}
    return summary(attempts, policy.duration_unit)


def _dropped(dropped: Mapping[str, int], obsolete: Evidence, cut: int) -> Mapping[str, int]:
    """Add the surplus that only attempts that are away and sealed could have used, and what is beyond its limit."""
    if not (obsolete or cut):
        return dropped
    sealed = dropped.get(Outcome.SEALED, 0) + sum(map(len, obsolete.values()))
    more = {Outcome.SEALED: sealed, SURPLUS_CUT: cut}
    return {**dropped, **{reason: number for reason, number in more.items() if number}}


def _cut(surplus: Mapping[str, list[Item]], rules: JourneyRules, limit: int) -> tuple[dict[str, list[Item]], int]:
    """Keep the earliest `limit` items per waypoint; an inactive waypoint keeps all of its evidence and waits."""
    if not surplus:
        return {}, 0
    kept = {key: items[:limit] if key in rules.active_waypoints else items for key, items in surplus.items()}
    return {key: items for key, items in kept.items() if items}, sum(
        len(items) - len(kept[key]) for key, items in surplus.items()
    )


def _updated(document: Mapping[str, Any], now: datetime) -> datetime:
    """Return the new `updatedAt`: it never goes back, also where another's clock is ahead of ours."""
    known = document.get("updatedAt")
    return max(known, now) if isinstance(known, datetime) else now


def _event(
    document: Mapping[str, Any],
    changed: Mapping[str, Any],
    removed: Sequence[str],
    changes: Sequence[Change],
    away: int,
    now: datetime,
) -> ProgressEvent:
    after = {**document, **changed}
    for key in removed:
        del after[key]
    data = {**public_state(after), "changes": changes}
    if away:
        data["completionsBefore"] = away
    return ProgressEvent(
        progress=document["_id"],
        revision=document["processing"].get("revision", 0) + 1,
        time=now,
        data=to_json(data),
        replay=bool(document["processing"].get("replay")),
    )
