"""How evidence is folded and promoted: what the settings say, and what takes their place for once."""

from dataclasses import dataclass, replace
from datetime import timedelta

from processor.core.completions import DurationUnit
from processor.core.spilling import STATEMENT_BYTES

UNLIMITED = timedelta.max
"""The horizon of a fold that a recalculation has a part in: it finds evidence in no order of time."""

PENDING_BYTES = 8_388_608
"""With more than this pending, a document may have no room left but for less than a promotion consumes."""


@dataclass(frozen=True, slots=True)
class FoldingPolicy:
    """The settings SURPLUS_LIMIT, LATENESS_HORIZON, DURATION_UNIT and DOCUMENT_BYTES."""

    surplus_limit: int = 100
    lateness_horizon: timedelta = timedelta(days=30)
    duration_unit: DurationUnit = "microseconds"
    document_bytes: int = 65_536
    pending_limit: int = 500
    """Pending items of a waypoint that one promotion consumes: mongod compares each of them with each that is there."""
    changes: int = 1_000
    """Changes that an event tells, the last ones: a late statement may move very many attempts at once."""

    def for_rereading(self) -> "FoldingPolicy":
        """Return what to follow while a journey's history is read again: nothing is too late, as it has no order."""
        return replace(self, lateness_horizon=UNLIMITED)

    def for_pending(self, number: int) -> "FoldingPolicy":
        """Return what to follow with so many items pending: with very many, to write as little as possible."""
        if number * STATEMENT_BYTES <= PENDING_BYTES:
            return self
        return replace(self, document_bytes=min(self.document_bytes, 4_096), changes=min(self.changes, 10))
