"""What a recalculation reads and writes, and how it stands. See `processor.ports`."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from bson import ObjectId

from processor.core.evidence import Append, Retraction
from processor.core.recalculation import Recalculation
from processor.core.records import StatementRecord
from processor.core.rereading import Scope


class Recalculations(Protocol):
    """Starts and cancels the recalculation of a journey. Raises `NotFound`, or `InvalidInput` when it cannot be."""

    async def start(self, journey: ObjectId, organisation: ObjectId, by: ObjectId) -> Mapping[str, Any]:
        """Start; `by` is the client. Return the journey document as stored, with its `recalculateStatus`."""

    async def cancel(self, journey: ObjectId, organisation: ObjectId, by: ObjectId) -> Mapping[str, Any]:
        """Cancel; harmless when there is none. Return the journey document as stored."""


class RunningRecalculations(Protocol):
    """Which recalculations run."""

    async def running(self) -> frozenset[ObjectId]:
        """Return the journeys that are recalculated, or are going to be: until all of it is folded."""


class RecalculationWork(Protocol):
    """Recalculations for those who do them: one chunk under one fresh key with a lease."""

    async def claim(self, lock_key: str, now: datetime, until: datetime) -> Recalculation | None:
        """Claim the recalculation that has waited longest, or whose worker's lease ran out.

        One that cannot go on yet is only claimed for its lease to be renewed, when half of that is over.
        """

    async def save(self, was: Recalculation, now_is: Recalculation, lock_key: str, until: datetime) -> bool:
        """Write how far it has come and give the lock back; `inProgress` holds until `until`.

        False when it was cancelled, started anew or taken over meanwhile: nothing was written but the lock's return.
        What the chunk has written may have come too late to be woken then: so it is woken again, if nothing else is
        left to do.
        """


@dataclass(frozen=True, slots=True)
class Reread:
    """A chunk of statements read again.

    `holders` are the documents that hold them as evidence, None when they have to be looked for by owner. `looked`
    counts what was looked at to its end, as `History.size` counts it. `position` is where to go on, None at the end.
    """

    statements: tuple[StatementRecord, ...]
    holders: tuple[Mapping[str, Any], ...] | None
    looked: int
    position: Any | None


class History(Protocol):
    """The statements there have been: collection `statements`, or the topic from its start."""

    async def size(self, scope: Scope) -> int:
        """Count roughly what `evidence` and `statements` will look at."""

    async def evidence(self, scope: Scope, position: Any | None) -> Reread:
        """Read a chunk of the statements that the scope's documents may hold as evidence."""

    async def statements(self, scope: Scope, position: Any | None) -> Reread:
        """Read a chunk of all statements that could match the journey; which do, its conditions say."""


@dataclass(frozen=True, slots=True)
class Waking:
    """Documents that wait for a promoter or are in the hands of one, and how many of them were marked due just now."""

    waiting: int
    marked: int


class ReplayStore(Protocol):
    """What a recalculation writes to progress documents. Nearly none of it marks a document due but `wake`."""

    async def append(self, appends: Sequence[Append], statements: Sequence[StatementRecord], now: datetime) -> None:
        """Add evidence; see `ProgressStore.append`. Due is what has more than `CROWDED` pending then."""

    async def retract(self, retractions: Sequence[Retraction]) -> None:
        """Take evidence back: from `pendingProgress` at once, from the rest at the document's next fold.

        Durable when it returns, and repeating is harmless. A document that is gone is passed over. What is pending
        stays where some was found under a later version of the journey: under that all is read again.
        """

    def holders(self, journey: ObjectId, ids: Collection[ObjectId]) -> AsyncIterator[Mapping[str, Any]]:
        """Yield those documents of the journey that exist, whole, one at a time: each may be large."""

    async def wake(self, journey: ObjectId, limit: int, now: datetime) -> Waking:
        """Mark due what was asked something that is not folded yet, so that at most `limit` wait at once.

        Not what waits for its journey to run: that is woken with it (`ProgressStore.mark_due`).
        """
