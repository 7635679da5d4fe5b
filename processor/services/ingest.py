"""Ingest: statement records to `pendingProgress`.

The order of durable effects is the guarantee:

1. append the evidence of the whole batch (majority-acknowledged),
2. park what is bad (acknowledged by the broker),
3. commit the offsets of exactly 1 and 2.

A batch grows for a moment: what comes while it is written is read and written beside, and committed with it.

I1: an offset is committed only after everything it covers is durable. I2: whatever fails in between is delivered
again, which is harmless, as evidence is a set. I3: a bad record is parked before the commit. When more is bad than
the rejection budget allows, the process stops before 2: nothing of the batch is parked or committed. What can change
nothing is not judged beyond its structure (DECISIONS 67, 71): so it is not bad.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import structlog

from processor.core.index import JourneyIndex
from processor.core.records import Batch, Reason, Rejected
from processor.core.rejections import RejectionBudget, Rejections
from processor.errors import RejectionBudgetSpent
from processor.ports.progress import Evidence
from processor.ports.stream import DeadLetters, RecordSource
from processor.services.finished import Finished
from processor.services.journeys import Journeys
from processor.services.landing import Landing
from processor.services.reading import Read, Reading, ReadingPolicy
from processor.services.surroundings import Surroundings
from processor.settings import PREFIX

LOOP = "ingest"

SHARE = 10
"""The part of a batch that is worth a write: who is behind has large ones, and need not hurry (DECISIONS 119)."""


@dataclass(frozen=True, slots=True)
class IngestPolicy(ReadingPolicy):
    """How records are read, and how many may be rejected.

    `least` is how many documents are worth a write of their own before the batch is read, and while others are written;
    or as many as `SHARE` says of a larger batch, up to a piece. `growth` is for how many seconds a batch takes what
    comes while it is written.
    """

    budget: RejectionBudget = field(default_factory=RejectionBudget)
    least: int = 20
    growth: float = 0.5


@dataclass(frozen=True, slots=True)
class PromoterBeside:
    """What ingest shares with a promoter of its process: only hints, nothing depends on them.

    `appended` is set when there is something to promote; `finished` knows whose statements can change nothing.
    """

    appended: asyncio.Event = field(default_factory=asyncio.Event)
    finished: Finished | None = None


class Ingest:
    """One member of the consumer group."""

    def __init__(
        self,
        source: RecordSource,
        store: Evidence,
        dead_letters: DeadLetters,
        journeys: Journeys,
        policy: IngestPolicy,
        surroundings: Surroundings,
        promoter: PromoterBeside,
    ) -> None:
        self._source = source
        self._store = store
        self._dead_letters = dead_letters
        self._journeys = journeys
        self._policy = policy
        self._around = surroundings
        self._promoter = promoter
        self._reading = Reading(policy, promoter.finished, surroundings)
        self._rejections = Rejections()
        for reason in Reason:
            surroundings.metrics.dead_letters.labels(str(reason))  # from 0 on: the first letter is an increase, too

    async def step(self) -> int:
        """Take one batch through the three effects; return how many records it had.

        Raises `Unavailable` when a server failed: nothing was committed, and the same records come again. Raises
        `RejectionBudgetSpent` before anything was parked or committed.
        """
        async with self._source.batch() as first:
            if not first.values:
                return 0
            with self._around.metrics.ingest_seconds.time():
                # 1. append
                read = _Grown(rejections=self._rejections)
                batch = await self._append(first, read)
                # 2. park
                if read.rejected:
                    await self._dead_letters.park(read.rejected)
                # 3. commit
                is_committed = await self._source.commit(batch)
            self._rejections = read.rejections
            self._account(batch, read, is_committed)
            return read.taken

    async def _append(self, batch: Batch, read: "_Grown") -> Batch:
        """Append what the batch holds, and what comes meanwhile; return the batch that covers all of it."""
        index, until = self._journeys.index, asyncio.get_running_loop().time() + self._policy.growth
        least = max(self._policy.least, min(len(batch.values) // SHARE, self._policy.piece))
        landing = Landing(self._store, self._around.clock, self._promoter.appended, least)
        async with landing:
            more: Batch | None = batch
            while more is not None:
                batch, before, rejected = more, read.rejections, list[Rejected]()
                for piece in self._reading.pieces(batch, index):
                    read.add(piece)
                    rejected += piece.rejected
                    self._judged(batch, before, rejected)
                    await landing.take(piece.matched)
                read.taken += len(batch.values)
                read.rejections = self._judged(batch, before, rejected)
                more = await self._more(batch, landing, index, until)
            await landing.settle()
        return batch

    async def _more(self, batch: Batch, landing: Landing, index: JourneyIndex, until: float) -> Batch | None:
        """Return what comes while the batch is written; None when that is done, or it has grown for long enough.

        What comes in the moment in which the journeys change is matched under those before, as the rest of the batch.
        """
        clock, stop = asyncio.get_running_loop().time, self._around.stop
        while clock() < until and index is self._journeys.index and not stop.is_set():
            under_way = landing.go_on()
            if under_way is None:
                return None
            over = asyncio.ensure_future(asyncio.wait([under_way], timeout=max(until - clock(), 0)))
            try:
                more = await self._source.more(batch, over)
            finally:
                over.cancel()
            if more is not None:
                return more
        return None

    def _judged(self, batch: Batch, before: Rejections, rejected: list[Rejected]) -> Rejections:
        """Return what was rejected of the last records, those of this poll among them; raise if that is too much."""
        budget = self._policy.budget
        rejections = before.after(len(batch.values), rejected, budget)
        if not (rejected and rejections.exceed(budget)):
            return rejections
        reasons = ", ".join(f"{reason} {number}" for reason, number in _reasons(rejected).most_common())
        raise RejectionBudgetSpent(
            f"{rejections.bad} of the last {rejections.records} records cannot be used, more than "
            f"{PREFIX}REJECTION_BUDGET={budget.share:g} allows; nothing of {batch.span} was parked or committed "
            f"(the letters of its last poll: {reasons}; the last: {rejected[-1].message[:200]}). "
            "Mend the cause, or set it to 0 to park them all"
        )

    def _account(self, batch: Batch, read: "_Grown", is_committed: bool) -> None:
        metrics = self._around.metrics
        matched = read.matched
        reasons = _reasons(read.rejected)
        metrics.records.inc(read.taken)
        metrics.statements.inc(read.taken - read.records + read.statements)
        metrics.matches.inc(matched.matches)
        documents = len({append.progress for append in matched.appends})
        metrics.appends.inc(documents)
        for reason, number in reasons.items():
            metrics.dead_letters.labels(reason).inc(number)
        for reason, number in matched.uncounted.items():
            metrics.uncounted.labels(reason).inc(number)
        if not is_committed:
            metrics.lost_commits.inc()
        structlog.get_logger(__name__).info(
            "batch ingested",
            span=batch.span,
            records=read.taken,
            matches=matched.matches,
            documents=documents,
            **({"parked": dict(reasons)} if reasons else {}),
            **({} if is_committed else {"committed": False}),
        )


@dataclass(slots=True)
class _Grown(Read):
    """What a batch comes to as it grows: of so many records, with what was rejected of them and of those before."""

    taken: int = 0
    rejections: Rejections = field(default_factory=Rejections)


def _reasons(rejected: list[Rejected]) -> Counter[str]:
    return Counter(str(entry.reason) for entry in rejected)
