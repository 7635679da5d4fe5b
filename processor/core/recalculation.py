"""One journey's recalculation as a value: its stages, where it stands, and the ten fields that interfaces show.

::

    start ─▶ RETRACT ─▶ APPEND ─▶ WAKE ─▶ at rest
                └──────────┴── cancel ──▶ WAKE ─▶ at rest

RETRACT reads again what is held as evidence and takes back what does not match any more. APPEND reads all statements
again and adds what matches. WAKE marks due what the two have touched, so that each document is folded once, and ends
when all of it is folded, or is due and nobody folds it. A journey that is saved meanwhile begins again at RETRACT,
under its new version.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from bson import ObjectId


class Stage(StrEnum):
    """What a recalculation does next."""

    RETRACT = "retract"
    APPEND = "append"
    WAKE = "wake"


@dataclass(frozen=True, slots=True)
class Recalculation:
    """Where a recalculation stands. `run` tells two of one journey apart; `stage` is None at rest.

    `version` is the journey's that is recalculated under, None before the first look. `position` is where the stage
    goes on, in the words of whoever reads (None: at its beginning). `only` limits it to one progress document.
    Nothing is read before `begin_at`: at the beginning because by then every ingester knows the journey as it was
    saved last, so that what was matched under an older version has happened before, and is read again; later because
    of the rate.
    """

    journey: ObjectId
    run: str
    stage: Stage | None
    begin_at: datetime
    version: int | None = None
    position: Any = None
    only: ObjectId | None = None
    total: int = 0
    remaining: int = 0
    is_cancelled: bool = False

    def begun(self, version: int, total: int) -> "Recalculation":
        """Begin under a version of the journey, with so many things to look at."""
        return replace(self, stage=Stage.RETRACT, version=version, position=None, total=total, remaining=total)

    def put_off(self, begin_at: datetime) -> "Recalculation":
        """Begin again, later: the journey was saved meanwhile."""
        return replace(self, stage=Stage.RETRACT, version=None, position=None, begin_at=begin_at)

    def advanced(self, looked: int, position: Any | None) -> "Recalculation":
        """Go on behind a chunk; without a position the stage is over."""
        remaining = max(self.remaining - looked, 0)
        if position is not None:
            return replace(self, position=position, remaining=remaining)
        if self.stage is Stage.RETRACT:
            return replace(self, stage=Stage.APPEND, position=None, remaining=remaining)
        return self.pushed()

    def not_before(self, instant: datetime) -> "Recalculation":
        """Read the next chunk no earlier, whoever reads it: the rate is the recalculation's own."""
        return replace(self, begin_at=max(self.begin_at, instant))

    def pushed(self) -> "Recalculation":
        """Reading is over, or there is no sense in it any more."""
        return replace(self, stage=Stage.WAKE, position=None, remaining=0)

    def at_once(self, batch: int) -> int:
        """Return how many documents may be due at once: a batch, and one more for each time that none was folded."""
        more: int = (self.position or {}).get("more", 0)
        return batch * (1 + more)

    def waking(self, waiting: int, marked: int, now: datetime) -> "Recalculation":
        """So many documents wait to be folded, some marked just now; `position` keeps since when nothing has moved."""
        known = self.position or {}
        is_still = not marked and known.get("waiting") == waiting
        return replace(self, position={**known, "waiting": waiting, "since": known["since"] if is_still else now})

    def is_stuck(self, now: datetime, patience: timedelta) -> bool:
        """Tell whether nobody has folded anything for too long: all promoters are away, or documents are broken."""
        return self.position is not None and now - self.position["since"] > patience

    def pressing(self, now: datetime) -> "Recalculation":
        """Let one more batch be due at once: those that are due may never be folded, and hold nobody up."""
        known = self.position or {}
        return replace(self, position={**known, "more": known.get("more", 0) + 1, "since": now})

    def ended(self) -> "Recalculation":
        """All done."""
        return replace(self, stage=None, position=None, remaining=0)


EMPTY_STATUS: Mapping[str, Any] = {
    "inProgress": False,
    "totalCount": 0,
    "remainingCount": 0,
    "pushing": False,
    "recalculatedAt": None,
    "cancelledAt": None,
    "recalculatedByClient": None,
    "recalculatedByUser": None,
    "cancelledByClient": None,
    "cancelledByUser": None,
}
"""The ten fields (learning-locker-behaviour.md, 1.5) of a journey that was never recalculated."""


def with_status(journey: Mapping[str, Any], stored: Mapping[str, Any] | None, now: datetime) -> Mapping[str, Any]:
    """Return a journey with `recalculateStatus` as it stands now; one that never was recalculated has none.

    What is stored there and is no object, in a broken journey, is replaced.
    """
    known = journey.get("recalculateStatus")
    if stored is None and not known:
        return journey
    kept = known if isinstance(known, Mapping) else {}
    return {**journey, "recalculateStatus": {**kept, **status_of(stored, now)}}


def status_of(stored: Mapping[str, Any] | None, now: datetime) -> dict[str, Any]:
    """Return `recalculateStatus` from what is stored about a journey's recalculation.

    `inProgress` holds only while a lease is alive: nobody has to be alive to end it.
    """
    known = stored or {}
    lease = known.get("lease")  # one that was set by hand may be no instant
    is_alive = isinstance(lease, datetime) and lease > now
    is_running = bool(known.get("stage") and not known.get("isCancelled") and is_alive)
    status = {key: known.get(key, value) for key, value in EMPTY_STATUS.items()}
    return {**status, "inProgress": is_running, "pushing": is_running and known["stage"] != Stage.WAKE}
