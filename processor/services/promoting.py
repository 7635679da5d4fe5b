"""What promotes in a process has these in common, wherever the evidence comes from."""

from dataclasses import dataclass

from processor.core.promotion import FoldingPolicy
from processor.ports import ProgressStore
from processor.services.finished import Finished
from processor.services.handover import Handover
from processor.services.journeys import Journeys
from processor.services.surroundings import Leasing, Surroundings


@dataclass(frozen=True, slots=True)
class Promoting:
    """The store and the journeys, how to fold, the locks, and the hints to the process's other loops.

    The relay of the process, if there is one, gets what it has to publish by `handover`; ingest gets to know by
    `finished` whose statements can change nothing.
    """

    store: ProgressStore
    journeys: Journeys
    policy: FoldingPolicy
    around: Surroundings
    leasing: Leasing
    handover: Handover
    finished: Finished | None = None
