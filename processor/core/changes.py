"""What an event says has changed: the difference of two states of the completions (semantics.md, section 7)."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from processor.core.fold import Attempt

Change = dict[str, str | int]
"""`{type, attempt, waypoint?}`; `attempt` is the position among all attempts, from 0."""


_NOTHING: Final = Attempt()


def changes_between(
    before: Sequence[Attempt], after: Sequence[Attempt], *, replay: bool = False, first: int = 0
) -> list[Change]:
    """Return the changes from one state of the attempts to the next, in the order a reader would tell them.

    Per attempt: `started` when it is new; per waypoint `waypoint-completed` when it became complete,
    `progressed` when its counted statements differ otherwise, `reverted` when it lost its completion or all its
    evidence; last `completed`, or `reverted` when the attempt lost its completion or is gone. In a `replay` each
    attempt that was there before and differs begins with `recalculated`: its dates may have moved either way.
    `first` is the position of the first attempt of both.
    """
    changes: list[Change] = []
    for number, (old, new) in enumerate(zip_longest(before, after), first):
        if new is None:
            changes.append({"type": "reverted", "attempt": number})
            continue
        if replay and old is not None and old != new:
            changes.append({"type": "recalculated", "attempt": number})
        changes.extend(_attempt_changes(number, old, new))
    return changes


def _attempt_changes(number: int, old: Attempt | None, new: Attempt) -> Iterator[Change]:
    if old is None:
        yield {"type": "started", "attempt": number}
        old = _NOTHING
    for waypoint in {**new.counted, **old.counted} if old.counted else new.counted:
        kind = _waypoint_change(waypoint, old, new)
        if kind:
            yield {"type": kind, "attempt": number, "waypoint": waypoint}
    if old.completed_at is None and new.completed_at is not None:
        yield {"type": "completed", "attempt": number}
    if old.completed_at is not None and new.completed_at is None:
        yield {"type": "reverted", "attempt": number}


def _waypoint_change(waypoint: str, old: Attempt, new: Attempt) -> str | None:
    was, is_ = waypoint in old.waypoints_completed, waypoint in new.waypoints_completed
    if is_ and not was:
        return "waypoint-completed"
    if (was and not is_) or waypoint not in new.counted:
        return "reverted"
    return "progressed" if old.counted.get(waypoint) != new.counted[waypoint] else None
