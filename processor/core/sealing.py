"""Sealing: which attempts late evidence may not change any more (semantics.md, section 4)."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from processor.core.completions import TIMESTAMP
from processor.core.evidence import Key
from processor.core.fold import Attempt, Evidence
from processor.core.spilling import count_of, sealed_part


def newest_of(known: datetime | None, pending: Evidence) -> datetime | None:
    """Return the time of the newest evidence there ever was: `known` until now, and what is pending; None for none."""
    newest = known or None
    for items in pending.values():
        if items:
            latest = max(map(TIMESTAMP, items))
            newest = latest if newest is None else max(newest, latest)
    return newest


def sealed_of(
    processing: Mapping[str, Any],
    attempts: Sequence[Attempt],
    version: int,
    newest: datetime | None,
    horizon: timedelta,
) -> tuple[int, Key | None]:
    """Count the attempts, oldest first, that late evidence may not change any more (semantics.md, section 4).

    `newest` is the newest evidence of the promotions before: what arrived since is late by that, not by what came after
    it and is promoted with it (F1). `attempts` come after those that are away; the second value is the last key of the
    sealed ones among these.
    """
    known: int = processing.get("sealed", 0)
    manifest = processing.get("spilled", ())
    if not (attempts or manifest):
        return known, None
    is_older_version = processing.get("folded", version) != version

    def is_sealed(completed_at: datetime) -> bool:
        return is_older_version or (newest is not None and newest - completed_at > horizon)

    number, frontier = sealed_part(manifest, lambda key: is_sealed(key.timestamp), known)
    sealed = max(known, number)
    if number < count_of(manifest):
        return sealed, frontier
    for attempt in attempts[sealed - number :]:
        if attempt.completed_at is None or not is_sealed(attempt.completed_at):
            break
        sealed += 1
    return sealed, frontier
