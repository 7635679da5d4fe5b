"""Collection `journeyrecalculations`, one document a journey: `ports.Recalculations` and `ports.RecalculationWork`.

Not within the journeys: every process reads those again whenever one changes, and who saves a journey would write an
old status over a newer one. A document at rest has no `stage`, and is not in its index.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from processor.core.journey import InvalidJourney, compile_journey
from processor.core.recalculation import Recalculation, Stage, with_status
from processor.errors import InvalidRecalculation, NotFound
from processor.ports.stream import Clock
from processor.store.connect import JOURNEYS, RECALCULATIONS, Database, Document
from processor.store.failures import translated
from processor.store.marks import Filter


@dataclass(frozen=True, slots=True)
class RecalculationPolicy:
    """How long a recalculation is in progress without a sign of life, and when every ingester knows a saved journey."""

    lease: timedelta = timedelta(seconds=60)
    known_after: timedelta = timedelta(seconds=20)


class MongoRecalculations:
    """The recalculations of one database."""

    def __init__(self, database: Database, clock: Clock, policy: RecalculationPolicy) -> None:
        self._recalculations = database[RECALCULATIONS]
        self._journeys = database[JOURNEYS]
        self._clock = clock
        self._policy = policy
        self._compiling = asyncio.Semaphore(1)

    async def start(
        self, journey: ObjectId, organisation: ObjectId, by: ObjectId | None, *, only: ObjectId | None = None
    ) -> Mapping[str, Any]:
        """Ask for a recalculation, of one progress document if `only` says so; see `ports.Recalculations.start`."""
        document = await self._journey(journey, organisation)
        async with self._compiling:
            await asyncio.to_thread(_refuse_idle, document)
        now = self._clock.now()
        # Every ingester has to know the journey as it was saved last, and that it is recalculated (`finished.py`).
        known_at = now + self._policy.known_after
        asked = Recalculation(journey, str(uuid4()), Stage.RETRACT, begin_at=known_at, only=only)
        fields = _written(asked) | {
            "organisation": organisation,
            "recalculatedAt": now,
            "recalculatedByClient": by,
            "recalculatedByUser": None,
            "lockKey": None,
            "lease": now + self._policy.lease,
        }
        with translated():
            try:
                await self._recalculations.update_one(_startable(journey, now), {"$set": fields}, upsert=True)
            except DuplicateKeyError:  # it is there, and the filter did not match: it runs
                raise InvalidRecalculation.of(journey) from None
        return await self._shown(document)

    async def running(self) -> frozenset[ObjectId]:
        """Return the journeys in work; see `ports.RunningRecalculations.running`."""
        with translated():
            found = await self._recalculations.find({"stage": {"$gte": ""}}, {"_id": 1}).to_list()
        return frozenset(document["_id"] for document in found)

    async def cancel(self, journey: ObjectId, organisation: ObjectId, by: ObjectId | None) -> Mapping[str, Any]:
        """End a recalculation; see `ports.Recalculations.cancel`.

        Its worker keeps the lock until it has written its chunk, or its lease is over: only then the next one wakes
        what was touched.
        """
        document = await self._journey(journey, organisation)
        noted = {
            "organisation": organisation,
            "cancelledAt": self._clock.now(),
            "cancelledByClient": by,
            "cancelledByUser": None,
        }
        ended = {"stage": Stage.WAKE, "position": None, "isCancelled": True, "remainingCount": 0}
        with translated():
            ending = await self._recalculations.update_one(
                {"_id": journey, "stage": {"$exists": True}}, {"$set": noted | ended}
            )
            if not ending.matched_count:
                await self._recalculations.update_one({"_id": journey}, {"$set": noted}, upsert=True)
        return await self._shown(document)

    async def shown(self, journeys: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Return journey documents with `recalculateStatus` as it stands now: what is stored in them may be old."""
        now = self._clock.now()
        with translated():
            found = self._recalculations.find({"_id": {"$in": [journey["_id"] for journey in journeys]}})
            known = {document["_id"]: document async for document in found}
        return [with_status(journey, known.get(journey["_id"]), now) for journey in journeys]

    async def is_waiting(self, journey: ObjectId) -> bool:
        """Tell whether there is something left to do, whoever is alive to do it."""
        with translated():
            found = await self._recalculations.find_one({"_id": journey, "stage": {"$exists": True}}, {"_id": 1})
        return found is not None

    async def claim(self, lock_key: str, now: datetime, until: datetime) -> Recalculation | None:
        """Claim the one that has waited longest; see `ports.RecalculationWork.claim`."""
        with translated():
            is_free = {"$or": [{"lockKey": None}, {"lease": {"$lt": now}}]}
            half = now + (until - now) / 2
            is_wanted = {"$or": [{"stage": Stage.WAKE}, {"beginAt": {"$lte": now}}, {"lease": {"$lt": half}}]}
            found = await self._recalculations.find_one_and_update(
                {"stage": {"$exists": True}, "$and": [is_free, is_wanted]},
                {"$set": {"lockKey": lock_key, "lease": until}},
                sort=[("lease", 1)],
                return_document=ReturnDocument.AFTER,
            )
        return _read(found) if found else None

    async def save(self, was: Recalculation, now_is: Recalculation, lock_key: str, until: datetime) -> bool:
        """Write how far it has come and give the lock back; see `ports.RecalculationWork.save`."""
        unchanged = {"_id": was.journey, "lockKey": lock_key, "run": was.run, "isCancelled": was.is_cancelled}
        update: Document = {"$set": {**_written(now_is), "lockKey": None, "lease": until}}
        if now_is.stage is None:
            del update["$set"]["stage"]
            update["$unset"] = {"stage": ""}
        with translated():
            saved = await self._recalculations.update_one(unchanged, update)
            if not saved.matched_count:
                if was.stage is not Stage.WAKE:
                    await self._wake_again(was.journey)
                freed = {"_id": was.journey, "lockKey": lock_key}
                await self._recalculations.update_one(freed, {"$set": {"lockKey": None}})
        return bool(saved.matched_count)

    async def _wake_again(self, journey: ObjectId) -> None:
        """Wake what a chunk has written that was late: who wakes just now, or has ended, may not have seen it (P3)."""
        is_over = {"_id": journey, "stage": {"$in": [None, Stage.WAKE]}}
        await self._recalculations.update_one(
            is_over, {"$set": {"stage": Stage.WAKE, "position": None, "lockKey": None}}
        )

    async def _journey(self, journey: ObjectId, organisation: ObjectId) -> Document:
        with translated():
            document = await self._journeys.find_one({"_id": journey, "organisation": organisation})
        if document is None:
            raise NotFound(f"there is no journey {journey}")
        return document

    async def _shown(self, journey: Mapping[str, Any]) -> Mapping[str, Any]:
        [shown] = await self.shown([journey])
        return shown


def _refuse_idle(document: Mapping[str, Any]) -> None:
    """Raise `InvalidRecalculation` for a journey that does not run. Beside the event loop: see `Authoring`."""
    try:
        is_running = compile_journey(document).is_running
    except InvalidJourney:
        is_running = False
    if not is_running:
        raise InvalidRecalculation.of(document["_id"])


def _startable(journey: ObjectId, now: datetime) -> Filter:
    """Match the journey unless it is in progress; an upsert then runs into the `_id` of the one that is."""
    return {"_id": journey, "$or": [{"stage": None}, {"isCancelled": True}, {"lease": {"$lte": now}}]}


def _written(recalculation: Recalculation) -> Document:
    return {
        "run": recalculation.run,
        "stage": recalculation.stage,
        "beginAt": recalculation.begin_at,
        "version": recalculation.version,
        "position": recalculation.position,
        "only": recalculation.only,
        "totalCount": recalculation.total,
        "remainingCount": recalculation.remaining,
        "isCancelled": recalculation.is_cancelled,
    }


def _read(document: Mapping[str, Any]) -> Recalculation:
    return Recalculation(
        journey=document["_id"],
        run=document["run"],
        stage=Stage(document["stage"]),
        begin_at=document["beginAt"],
        version=document["version"],
        position=document["position"],
        only=document["only"],
        total=document["totalCount"],
        remaining=document["remainingCount"],
        is_cancelled=document["isCancelled"],
    )
