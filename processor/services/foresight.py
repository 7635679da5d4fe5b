"""What a recalculation would change, without writing anything: the same chunks, judged and folded by the same code.

All that was found is held in memory until the history is read to its end: evidence for one document may stand anywhere.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from bson import ObjectId

from processor.core.evidence import Append, Retraction
from processor.core.policy import FoldingPolicy
from processor.core.promotion import promote
from processor.core.rereading import Scope, foreseen
from processor.ports.recalculation import History, ReplayStore
from processor.services.recalculation import Rereading

DOCUMENTS = 50
DRY = "dry-run"

Looked = Callable[[int, int], None]
"""Is told how much was looked at, and how much there is."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A progress document that would change; `changes` as its event would list them."""

    progress: ObjectId
    owner: Mapping[str, Any]
    was_completed: bool
    is_completed: bool
    changes: list[dict[str, Any]]


@dataclass(slots=True)
class _Asked:
    """What would be asked of one document, in the order of the stages."""

    retractions: list[Retraction] = field(default_factory=list)
    appends: list[Append] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Foresight:
    """Reads and folds, and writes nothing."""

    history: History
    store: ReplayStore
    rereading: Rereading
    folding: FoldingPolicy

    async def foresee(self, scope: Scope, now: datetime, looked: Looked) -> AsyncIterator[Foreseen]:
        """Yield each document that would change."""
        asked, policy = await self._asked(scope, looked), self.folding.for_rereading()
        every = sorted(asked)
        for first in range(0, len(every), DOCUMENTS):
            ids = every[first : first + DOCUMENTS]
            known = {document["_id"]: document async for document in self.store.holders(scope.rules.id, ids)}
            for progress in ids:
                before = known.get(progress)
                document = foreseen(before, asked[progress].retractions, asked[progress].appends, now)
                promotion = promote(document, scope.rules, policy, now)
                if promotion.event:
                    yield Foreseen(
                        progress=progress,
                        owner=document["owner"],
                        was_completed=bool(before and before["isCompleted"]),
                        is_completed=promotion.changed.get("isCompleted", document["isCompleted"]),
                        changes=orjson.loads(promotion.event.data)["changes"],
                    )

    async def _asked(self, scope: Scope, looked: Looked) -> dict[ObjectId, _Asked]:
        asked: dict[ObjectId, _Asked] = {}
        total, done, position = await self.history.size(scope), 0, None
        while True:
            read, retractions = await self.rereading.retractions(scope, position, DRY)
            for retraction in retractions:
                asked.setdefault(retraction.progress, _Asked()).retractions.append(retraction)
            done, position = done + read.looked, read.position
            looked(done, total)
            if position is None:
                break
        while True:
            read, matched = await self.rereading.evidence(scope, position, DRY)
            for append in matched.appends:
                asked.setdefault(append.progress, _Asked()).appends.append(append)
            done, position = done + read.looked, read.position
            looked(done, total)
            if position is None:
                return asked
