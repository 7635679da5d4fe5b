"""The journeys in force: an immutable snapshot, swapped whole while the stream runs (semantics.md, section 3)."""

import asyncio
import gc
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from bson import ObjectId

from processor.core.index import JourneyIndex, Known, index_journeys
from processor.core.journey import JourneyRules
from processor.ports.interfaces import JourneyCatalog
from processor.ports.progress import ProgressStore
from processor.services.surroundings import Surroundings

LOOP = "journeys"

MANY = 100
"""Journeys from which on a snapshot is built beside the event loop (fewer take milliseconds); woken at once."""

NAMED = 20
"""Waypoints without an index that the log names at most."""


class Journeys:
    """Holds the current snapshot in `index`; `refresh` replaces it. Loops read `index` once per batch."""

    def __init__(self, catalog: JourneyCatalog, surroundings: Surroundings) -> None:
        self._catalog = catalog
        self._around = surroundings
        self._known: Known = {}
        self._refreshing = asyncio.Lock()
        self.index = JourneyIndex(())

    async def refresh(self) -> None:
        """Read all journeys and swap the snapshot; journeys that did not change are not compiled again.

        A broken journey is set aside alone: the log names it with the path of the fault, the others run on. The
        stream runs on, too, while very many are compiled. One at a time: of two, that which read the older journeys
        could end last, and its snapshot would stay, as a change is told once (P3).
        """
        async with self._refreshing:
            await self._refresh()

    async def _refresh(self) -> None:
        if len(self._known) >= MANY:
            gc.collect()  # soon done, as what was frozen is passed over; let no garbage be frozen next
        documents = await self._catalog.load()
        if len(documents) < MANY:
            index, self._known = index_journeys(documents, self._known, self.index)
        else:
            index, self._known = await asyncio.to_thread(_index_many, documents, self._known, self.index)
        log = structlog.get_logger(__name__)
        for journey, fault in index.broken.items():
            if self.index.broken.get(journey) != fault:
                log.error("journey set aside: mend it, the others run on", journey=str(journey), fault=fault)
        self._account(index)
        self.index = index

    def _account(self, index: JourneyIndex) -> None:
        running = sum(rules.is_running for rules in index.journeys.values())
        journeys = self._around.metrics.journeys
        journeys.labels("running").set(running)
        journeys.labels("idle").set(len(index.journeys) - running)
        journeys.labels("broken").set(len(index.broken))
        self._around.metrics.scanned_waypoints.set(len(index.scanned))
        scanned = [f"{match.journey.id}/{match.waypoint.id}" for match in index.scanned]
        structlog.get_logger(__name__).info(
            "journeys in force",
            running=running,
            journeys=len(index.journeys),
            broken=len(index.broken),
            **({"scanned": scanned[:NAMED], "scanned_waypoints": len(scanned)} if scanned else {}),
        )


def _index_many(
    documents: Sequence[Mapping[str, Any]], known: Known, before: JourneyIndex
) -> tuple[JourneyIndex, Known]:
    """Build a large snapshot in a thread, and keep the garbage collector off it for good.

    Each full collection would stop all threads while it looks through millions of objects, for seconds. Nothing in a
    snapshot refers back to it, so that it needs no collector: it goes when the last batch lets go of it.
    """
    gc.disable()
    try:
        return index_journeys(documents, known, before)
    finally:
        gc.freeze()
        gc.enable()


class _Waking(NamedTuple):
    """To be repeated at an instant: the waking of what these journeys concern."""

    at: datetime
    journeys: Collection[ObjectId]


class JourneyWatch:
    """The loop that keeps `Journeys` fresh and, with a store, wakes the documents a change concerns.

    A document that waits for an inactive journey, was folded under an older version, or is in the hands of a promoter
    who may know only the older one, is marked due, so that it is folded under the journey in force. Every process with
    a promoter does it after its own refresh: the last one to learn of a change catches what others folded under the
    old version meanwhile. And each does it once more `again` later, when everybody has learnt of the change or is
    dead, and no lease from before is left: so it also catches what was folded by one that died before its own waking.
    """

    def __init__(
        self,
        journeys: Journeys,
        catalog: JourneyCatalog,
        surroundings: Surroundings,
        store: ProgressStore | None,
        again: timedelta,
    ) -> None:
        self._journeys = journeys
        self._catalog = catalog
        self._around = surroundings
        self._store = store
        self._again = again
        self._woken: dict[ObjectId, JourneyRules] = {}
        self._wakings: deque[_Waking] = deque()
        self._is_behind = False

    async def step(self) -> int:
        """Wake what the snapshot concerns, wait a moment for a change, refresh; return how many refreshes.

        A change is told once: when the refresh fails, the next step refreshes without asking again.
        """
        if self._store:
            await self._wake_documents(self._store)
        self._is_behind = self._is_behind or await self._catalog.changed()
        if not self._is_behind:
            return 0
        await self._journeys.refresh()
        self._is_behind = False
        return 1

    async def _wake_documents(self, store: ProgressStore) -> None:
        """Wake what each running journey that is not the very one woken before may concern; then, late, once more.

        Rules are compared by identity: a journey that was deactivated and activated between two looks has the same
        version, and its documents may wait.
        """
        running = {rules.id: rules for rules in self._journeys.index.journeys.values() if rules.is_running}
        now = self._around.clock.now()
        changed = {journey: rules for journey, rules in running.items() if self._woken.get(journey) is not rules}
        if changed:
            await self._wake(store, changed)
            self._wakings.append(_Waking(now + self._again, changed))
        self._woken = running
        if self._wakings and self._wakings[0].at <= now:
            await self._wake(store, {it: running[it] for it in self._wakings[0].journeys if it in running})
            self._wakings.popleft()

    async def _wake(self, store: ProgressStore, journeys: Mapping[ObjectId, JourneyRules]) -> None:
        names = sorted(journeys)
        for start in range(0, len(names), MANY):
            versions = {journey: journeys[journey].version for journey in names[start : start + MANY]}
            marked = await store.mark_due(versions, self._around.clock.now())
            if marked:
                structlog.get_logger(__name__).info(
                    "documents to fold again",
                    journeys=[f"{journey} version {version}" for journey, version in versions.items()][:NAMED],
                    documents=marked,
                )
