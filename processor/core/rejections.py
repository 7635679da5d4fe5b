"""The rejection budget: when so much is rejected that something else is wrong than the records.

A topic of another kind, a forgotten DEFAULT_ORGANISATION or a producer gone mad would fill the dead letters with all
there is. Within the budget bad records are parked and the stream goes on (I3).
"""

from collections.abc import Collection
from dataclasses import dataclass

from processor.core.records import Rejected


@dataclass(frozen=True, slots=True)
class RejectionBudget:
    """The settings REJECTION_BUDGET, a share (0: no budget), and REJECTION_WINDOW, a number of records."""

    share: float = 0.0
    window: int = 1_000


@dataclass(frozen=True, slots=True)
class Rejections:
    """How many of the last records were rejected: whole polls, the last ones that make a window, as (all, bad)."""

    polls: tuple[tuple[int, int], ...] = ()

    def after(self, records: int, rejected: Collection[Rejected], budget: RejectionBudget) -> "Rejections":
        """Return what it is after one more poll; a record of which any item was rejected counts once."""
        bad = len({(it.record.topic, it.record.partition, it.record.offset) for it in rejected})
        polls = (*self.polls, (records, bad))
        seen = sum(all_ for all_, _ in polls)
        while seen - polls[0][0] >= budget.window:
            seen -= polls[0][0]
            polls = polls[1:]
        return Rejections(polls)

    @property
    def records(self) -> int:
        """How many records are in the window."""
        return sum(records for records, _ in self.polls)

    @property
    def bad(self) -> int:
        """How many of these were rejected."""
        return sum(bad for _, bad in self.polls)

    def exceed(self, budget: RejectionBudget) -> bool:
        """Tell whether a full window has more rejected than the budget allows."""
        is_full = self.records >= budget.window
        return bool(budget.share) and is_full and self.bad > budget.share * self.records
