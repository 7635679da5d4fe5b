"""Ingest: statement records to `pendingProgress`.

The order of durable effects is the guarantee:

1. append the evidence of the whole batch (majority-acknowledged),
2. park what is bad (acknowledged by the broker),
3. commit the offsets of exactly 1 and 2.

I1: an offset is committed only after everything it covers is durable. I2: whatever fails in between is delivered
again, which is harmless, as evidence is a set. I3: a bad record is parked before the commit.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import structlog

from processor.core.decode import Tenancy, decode
from processor.core.identity import Identification
from processor.core.matching import Matched, match
from processor.core.records import Batch, Rejected, StatementRecord
from processor.ports import DeadLetters, ProgressStore, RecordSource
from processor.services.journeys import Journeys
from processor.services.surroundings import Surroundings

LOOP = "ingest"


@dataclass(frozen=True, slots=True)
class IngestPolicy:
    """What statements without a tenant belong to, and how actors are told apart."""

    tenancy: Tenancy = field(default_factory=Tenancy)
    identification: Identification = field(default_factory=Identification)


class Ingest:
    """One member of the consumer group. `appended` is set when a promoter has something to do (only a hint)."""

    def __init__(
        self,
        source: RecordSource,
        store: ProgressStore,
        dead_letters: DeadLetters,
        journeys: Journeys,
        policy: IngestPolicy,
        surroundings: Surroundings,
        appended: asyncio.Event,
    ) -> None:
        self._source = source
        self._store = store
        self._dead_letters = dead_letters
        self._journeys = journeys
        self._policy = policy
        self._around = surroundings
        self._appended = appended

    async def step(self) -> int:
        """Take one batch through the three effects; return how many records it had.

        Raises `Unavailable` when a server failed: nothing was committed, and the same records come again.
        """
        async with self._source.batch() as batch:
            if not batch.records:
                return 0
            with self._around.metrics.ingest_seconds.time():
                statements, rejected = self._decode(batch)
                matched = match(statements, self._journeys.index, self._policy.identification)
                rejected += matched.rejected

                # 1. append
                if matched.appends:
                    await self._store.append(matched.appends, matched.kept, self._around.clock.now())
                    self._appended.set()
                # 2. park
                if rejected:
                    await self._dead_letters.park(rejected)
                # 3. commit
                is_committed = await self._source.commit(batch)
            self._account(batch, statements, matched, rejected, is_committed)
            return len(batch.records)

    def _decode(self, batch: Batch) -> tuple[list[StatementRecord], list[Rejected]]:
        statements: list[StatementRecord] = []
        rejected: list[Rejected] = []
        for record in batch.records:
            for decoded in decode(record, self._policy.tenancy):
                if isinstance(decoded, Rejected):
                    rejected.append(decoded)
                else:
                    statements.append(decoded)
        return statements, rejected

    def _account(
        self,
        batch: Batch,
        statements: list[StatementRecord],
        matched: Matched,
        rejected: list[Rejected],
        is_committed: bool,
    ) -> None:
        metrics = self._around.metrics
        reasons = Counter(str(entry.reason) for entry in rejected)
        metrics.records.inc(len(batch.records))
        metrics.statements.inc(len(statements))
        metrics.matches.inc(matched.matches)
        metrics.appends.inc(len(matched.appends))
        for reason, number in reasons.items():
            metrics.dead_letters.labels(reason).inc(number)
        for reason, number in matched.uncounted.items():
            metrics.uncounted.labels(reason).inc(number)
        if not is_committed:
            metrics.lost_commits.inc()
        structlog.get_logger(__name__).info(
            "batch ingested",
            span=batch.span,
            records=len(batch.records),
            matches=matched.matches,
            documents=len(matched.appends),
            **({"parked": dict(reasons)} if reasons else {}),
            **({} if is_committed else {"committed": False}),
        )
