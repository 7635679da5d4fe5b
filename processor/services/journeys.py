"""The journeys in force: an immutable snapshot, swapped whole while the stream runs (semantics.md, section 3)."""

import asyncio
import gc
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from bson import ObjectId

from processor.core.index import JourneyIndex, Known, index_journeys
from processor.core.journey import JourneyRules
from processor.ports import JourneyCatalog, ProgressStore
from processor.services.surroundings import Surroundings

LOOP = "journeys"

MANY = 100
"""Journeys from which on a snapshot is built beside the event loop; fewer take milliseconds."""

NAMED = 20
"""Waypoints without an index that the log names at most."""


class Journeys:
    """Holds the current snapshot in `index`; `refresh` replaces it. Loops read `index` once per batch."""

    def __init__(self, catalog: JourneyCatalog, surroundings: Surroundings) -> None:
        self._catalog = catalog
        self._around = surroundings
        self._known: Known = {}
        self.index = JourneyIndex(())

    async def refresh(self) -> None:
        """Read all journeys and swap the snapshot; journeys that did not change are not compiled again.

        A broken journey is set aside alone: the log names it with the path of the fault, the others run on. The
        stream runs on, too, while very many are compiled.
        """
        documents = await self._catalog.load()
        if len(documents) < MANY:
            index, self._known = index_journeys(documents, self._known)
        else:
            index, self._known = await asyncio.to_thread(_index_many, documents, self._known)
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


def _index_many(documents: Sequence[Mapping[str, Any]], known: Known) -> tuple[JourneyIndex, Known]:
    """Build a large snapshot in a thread, and keep the garbage collector off it for good.

    Each full collection would stop all threads while it looks through millions of objects, for seconds. Nothing in a
    snapshot refers back to it, so that it needs no collector: it goes when the last batch lets go of it.
    """
    gc.collect()  # what is frozen below is never looked at again; let there be no garbage in it
    gc.disable()
    try:
        return index_journeys(documents, known)
    finally:
        gc.freeze()
        gc.enable()


class JourneyWatch:
    """The loop that keeps `Journeys` fresh and, with a store, wakes the documents a change concerns.

    A document that waits for an inactive journey, was folded under an older version, or is in the hands of a promoter
    who may know only the older one, is marked due, so that it is folded under the journey in force. Every process with
    a promoter does it after its own refresh: the last one to learn of a change catches what others folded under the
    old version meanwhile.
    """

    def __init__(
        self, journeys: Journeys, catalog: JourneyCatalog, surroundings: Surroundings, store: ProgressStore | None
    ) -> None:
        self._journeys = journeys
        self._catalog = catalog
        self._around = surroundings
        self._store = store
        self._woken: dict[ObjectId, JourneyRules] = {}

    async def step(self) -> int:
        """Wake what the snapshot concerns, wait a moment for a change, refresh; return how many refreshes."""
        if self._store:
            await self._wake_documents(self._store)
        if not await self._catalog.changed():
            return 0
        await self._journeys.refresh()
        return 1

    async def _wake_documents(self, store: ProgressStore) -> None:
        """Wake what each running journey that is not the very one woken before may concern.

        Rules are compared by identity: a journey that was deactivated and activated between two looks has the same
        version, and its documents may wait.
        """
        running = {rules.id: rules for rules in self._journeys.index.journeys.values() if rules.is_running}
        self._woken = {journey: rules for journey, rules in self._woken.items() if journey in running}
        for journey, rules in running.items():
            if self._woken.get(journey) is rules:
                continue
            marked = await store.mark_due(journey, rules.version, self._around.clock.now())
            self._woken[journey] = rules
            if marked:
                structlog.get_logger(__name__).info(
                    "documents to fold again", journey=str(journey), version=rules.version, documents=marked
                )
