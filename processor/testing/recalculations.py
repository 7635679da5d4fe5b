"""Recalculation in memory: what is asked of progress documents, the work itself, and the history of statements."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import datetime
from typing import Any

from bson import ObjectId

from processor.core.decode import Tenancy, decode, stored_statement
from processor.core.evidence import CROWDED, Append, Retraction
from processor.core.recalculation import Recalculation, Stage
from processor.core.records import StatementRecord
from processor.core.rereading import Held, Scope
from processor.core.retraction import retraction_entry
from processor.ports.recalculation import Reread, Waking
from processor.testing.broker import MemoryBroker
from processor.testing.database import MemoryDatabase
from processor.testing.faults import Faults, effect, no_faults
from processor.testing.store import MemoryProgressStore
from processor.testing.writes import ask, mark


class MemoryReplayStore:
    """One process's view of a `MemoryDatabase`: `ports.ReplayStore`."""

    def __init__(self, database: MemoryDatabase, faults: Faults = no_faults) -> None:
        self._database = database
        self._faults = faults
        self._store = MemoryProgressStore(database, faults)

    async def append(self, appends: Sequence[Append], statements: Sequence[StatementRecord], now: datetime) -> None:
        """Add evidence; see `ports.ReplayStore.append`."""
        await self._store.append(appends, statements, now)
        for append in appends:
            document = self._database.progresses[append.progress]
            if any(len(document["pendingProgress"][waypoint]["statements"]) > CROWDED for waypoint in append.items):
                async with effect(self._faults, "append.crowded"):
                    mark(document["processing"], "due", now)

    async def retract(self, retractions: Sequence[Retraction]) -> None:
        """Take evidence back; see `ports.ReplayStore.retract`."""
        for retraction in retractions:
            async with effect(self._faults, "retract"):
                self._retract(retraction)

    def _retract(self, retraction: Retraction) -> None:
        document = self._database.progresses.get(retraction.progress)
        if document is None:
            return
        processing = document["processing"]
        ask(processing, retraction_entry(retraction))
        if processing.get("version", 0) > retraction.version:
            return
        for waypoint, statements in retraction.statements.items():
            if entry := document["pendingProgress"].get(waypoint):
                entry["statements"] = [it for it in entry["statements"] if it["statement"] not in statements]
        processing["version"] = max(processing.get("version", retraction.version), retraction.version)

    async def holders(self, journey: ObjectId, ids: Collection[ObjectId]) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the documents that exist; see `ports.ReplayStore.holders`."""
        documents = self._database.progresses.values()
        wanted = [self._database.whole(it) for it in documents if it["_id"] in ids and it["journey"] == journey]
        for document in deepcopy(wanted):
            yield document

    async def wake(self, journey: ObjectId, limit: int, now: datetime) -> Waking:
        """Mark documents due, so that at most `limit` wait at once; see `ports.ReplayStore.wake`."""
        documents = [it for it in self._database.progresses.values() if it["journey"] == journey]
        asked = [it["processing"] for it in documents if it["processing"].get("replay")]
        in_work = [it for it in asked if "due" in it or "lease" in it]
        waiting = min(len(in_work), limit)
        at_rest = [it for it in asked if it not in in_work and not it.get("waiting")]
        marked = at_rest[: limit - waiting]
        for processing in marked:
            async with effect(self._faults, "wake"):
                mark(processing, "due", now)
        return Waking(waiting + len(marked), len(marked))


class MemoryRecalculationWork:
    """One recalculation, in memory: `ports.RecalculationWork`. `lock_key` and `lease` are who has it, until when."""

    def __init__(self, recalculation: Recalculation, faults: Faults = no_faults) -> None:
        self.recalculation = recalculation
        self.lock_key: str | None = None
        self.lease: datetime | None = None
        self._faults = faults

    async def claim(self, lock_key: str, now: datetime, until: datetime) -> Recalculation | None:
        """Claim it; see `ports.RecalculationWork.claim`."""
        known, lease = self.recalculation, self.lease
        is_held = self.lock_key is not None and lease is not None and lease >= now
        is_early = known.stage is not Stage.WAKE and known.begin_at > now
        if known.stage is None or is_held or (is_early and lease is not None and lease >= now + (until - now) / 2):
            return None
        self.lock_key, self.lease = lock_key, until
        return self.recalculation

    async def save(self, was: Recalculation, now_is: Recalculation, lock_key: str, until: datetime) -> bool:
        """Write how far it has come; see `ports.RecalculationWork.save`."""
        async with effect(self._faults, "recalculation.save"):
            known = self.recalculation
            if self.lock_key == lock_key:
                self.lock_key = None
                if (known.run, known.is_cancelled) == (was.run, was.is_cancelled):
                    self.recalculation, self.lease = now_is, until
                    return True
            if was.stage is not Stage.WAKE and known.stage in (None, Stage.WAKE):
                self.recalculation = replace(known, stage=Stage.WAKE, position=None)
                self.lock_key = None
            return False


class MemoryHistory:
    """The statements of a `MemoryDatabase`, or the records of a topic: `ports.History`, `chunk` at a time.

    Of the statements that documents hold, `most` at a time.
    """

    def __init__(
        self,
        database: MemoryDatabase,
        broker: MemoryBroker | None = None,
        topic: str = "",
        chunk: int = 2,
        most: int = 3,
    ) -> None:
        self._database = database
        self._broker = broker
        self._topic = topic
        self._chunk = chunk
        self._most = most

    async def size(self, scope: Scope) -> int:
        """Count what will be looked at; see `ports.History.size`."""
        if self._broker:
            return 2 * len(self._all())
        return len(self._holders(scope)) + len(self._database.statements)

    async def evidence(self, scope: Scope, position: Any | None) -> Reread:
        """Read what is held as evidence; see `ports.History.evidence`."""
        if self._broker:
            return await self.statements(scope, position)
        first, after = position or (0, None)
        held, every = Held(self._most), self._holders(scope)
        for holder in every[first : first + self._chunk]:
            held.take(holder, None if held.holders else after)
            if held.is_full:
                break
        statements = [record for record in self._all() if record.reference in held.references]
        last = first + held.done
        return Reread(
            tuple(statements), tuple(held.holders), held.done, (last, held.after) if last < len(every) else None
        )

    async def statements(self, scope: Scope, position: Any | None) -> Reread:
        """Read statements; see `ports.History.statements`."""
        first = position or 0
        records = self._all()
        chunk = [it for it in records[first : first + self._chunk] if it.organisation == scope.rules.organisation]
        after = first + self._chunk
        return Reread(tuple(chunk), None, self._chunk, after if after < len(records) else None)

    def _all(self) -> list[StatementRecord]:
        if self._broker is None:
            documents = sorted(self._database.statements.values(), key=lambda it: it["_id"])
            return [record for document in documents if (record := stored_statement(document))]
        return [
            decoded
            for record in self._broker.records(self._topic)
            for decoded in decode(record, Tenancy())
            if isinstance(decoded, StatementRecord)
        ]

    def _holders(self, scope: Scope) -> list[Mapping[str, Any]]:
        documents = [it for it in self._database.progresses.values() if "processing" in it]
        wanted = [self._database.whole(it) for it in documents if it["journey"] == scope.rules.id]
        return sorted((it for it in wanted if scope.only in (None, it["_id"])), key=lambda it: it["_id"])
