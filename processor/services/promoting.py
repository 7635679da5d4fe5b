"""What promotes in a process has these in common, wherever the evidence comes from."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bson import ObjectId

from processor.core.evidence import Key
from processor.core.journey import JourneyRules
from processor.core.policy import FoldingPolicy
from processor.core.promotion import SURPLUS_CUT
from processor.ports.progress import ProgressStore
from processor.services.finished import Finished
from processor.services.handover import Handover
from processor.services.journeys import Journeys
from processor.services.surroundings import Leasing, Surroundings


@dataclass(frozen=True, slots=True)
class Promoting:
    """The store and the journeys, how to fold, the locks, and the hints to the process's other loops.

    The relay of the process, if there is one, gets what it has to publish by `handover`. `finished` lets ingest know
    whose statements can change nothing, and all that promotes which journeys are recalculated.
    """

    store: ProgressStore
    journeys: Journeys
    policy: FoldingPolicy
    around: Surroundings
    leasing: Leasing
    handover: Handover
    finished: Finished | None = None


class Promotes:
    """What promotes: it has its parts at hand, and tells the metrics and ingest what has landed."""

    def __init__(self, promoting: Promoting) -> None:
        self._store = promoting.store
        self._journeys = promoting.journeys
        self._policy = promoting.policy
        self._policy_for_rereading = promoting.policy.for_rereading()
        self._around = promoting.around
        self._leasing = promoting.leasing
        self._handover = promoting.handover
        self._finished = promoting.finished
        promoting.around.metrics.dropped.labels(SURPLUS_CUT)  # from 0 on: the first cut is an increase, too

    def _policy_of(self, journey: ObjectId, now: datetime) -> FoldingPolicy:
        """Return how to fold: nothing is sealed for its age while evidence of any age may be found again (F1)."""
        is_reread = self._finished is not None and self._finished.may_be_reread(journey, now)
        return self._policy_for_rereading if is_reread else self._policy

    def _count(self, landed: int, dropping: Iterable[Mapping[str, int]]) -> Counter[str]:
        """Count what landed, and what evidence the promotions dropped; return the latter by reason."""
        dropped: Counter[str] = Counter()
        for reasons in dropping:
            if reasons:
                dropped.update(reasons)
        self._around.metrics.promotions.inc(landed)
        for reason, number in dropped.items():
            self._around.metrics.dropped.labels(reason).inc(number)
        return dropped

    def _remember(self, rules: JourneyRules, progress: ObjectId, ident: Any, last: Key | None) -> None:
        """Let ingest know whose later evidence need not be written, if a promotion, which has landed, ended with it."""
        if self._finished and last:
            self._finished.learn(rules, progress, ident, last)
