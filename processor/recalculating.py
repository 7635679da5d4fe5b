"""What commands do about recalculations: ask for one, cancel it, watch it, foresee what it would change."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from bson import ObjectId

from processor.clock import SystemClock
from processor.core.identity import owner_from, progress_id
from processor.core.index import index_journeys
from processor.core.rereading import Scope
from processor.errors import InvalidInput, InvalidRecalculation, NobodyRecalculates, NotFound
from processor.metrics import Metrics
from processor.opening import Stores, open_history, open_stores
from processor.policies import folding_policy, ingest_policy
from processor.services.foresight import Foreseen, Foresight, Looked
from processor.services.recalculation import Rereading
from processor.settings import Settings


async def start_recalculation(settings: Settings, journey: ObjectId, actor: str | None) -> ObjectId:
    """Ask for a journey's recalculation, for one owner's document if an actor is given; return the organisation.

    Raises `NotFound`, `InvalidRecalculation` or `InvalidInput` (nobody is called so).
    """
    async with open_stores(settings) as stores:
        scope = await _scope(settings, stores, journey, actor)
        organisation = scope.rules.organisation
        await stores.recalculations.start(journey, organisation, None, only=scope.only)
    return organisation


async def cancel_recalculation(settings: Settings, journey: ObjectId) -> bool:
    """End a journey's recalculation, also when the journey cannot run any more; say whether there was one.

    Raises `NotFound`.
    """
    async with open_stores(settings) as stores:
        document = next((it for it in await stores.catalog.load() if it["_id"] == journey), None)
        if document is None:
            raise NotFound(f"there is no journey {journey}")
        was_there = await stores.recalculations.is_waiting(journey)
        await stores.recalculations.cancel(journey, document["organisation"], None)
    return was_there


async def watch_recalculation(settings: Settings, journey: ObjectId) -> AsyncGenerator[Mapping[str, Any], None]:
    """Yield `recalculateStatus` again and again until it has ended. Raises `NobodyRecalculates`."""
    async with open_stores(settings) as stores:
        while True:
            [shown] = await stores.recalculations.shown([{"_id": journey, "recalculateStatus": {}}])
            yield shown["recalculateStatus"]
            if not shown["recalculateStatus"]["inProgress"]:
                break
            await asyncio.sleep(settings.idle_pause)
        if await stores.recalculations.is_waiting(journey):
            raise NobodyRecalculates(
                "no process has taken the recalculation up: start `journey-progress run`, which goes on with it"
            )


async def foresee_recalculation(
    settings: Settings, journey: ObjectId, actor: str | None, looked: Looked
) -> list[Foreseen]:
    """Return what a recalculation would change; nothing is written. Raises as `start_recalculation` does."""
    async with open_stores(settings, only_looking=True) as stores, open_history(settings, stores) as history:
        scope = await _scope(settings, stores, journey, actor)
        if not scope.rules.is_running:
            raise InvalidRecalculation.of(journey)
        rereading = Rereading(history, stores.replays, ingest_policy(settings).identification, Metrics())
        foresight = Foresight(history, stores.replays, rereading, folding_policy(settings))
        return [foreseen async for foreseen in foresight.foresee(scope, SystemClock().now(), looked)]


async def _scope(settings: Settings, stores: Stores, journey: ObjectId, actor: str | None) -> Scope:
    index, _ = index_journeys(await stores.catalog.load(), {})
    if journey in index.broken:
        raise InvalidRecalculation.of(journey)
    rules = index.journeys.get(journey)
    if rules is None:
        raise NotFound(f"there is no journey {journey}")
    if actor is None:
        return Scope(rules)
    try:
        owner = owner_from(actor, rules.track_by, ingest_policy(settings).identification)
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    return Scope(rules, progress_id(rules.organisation, rules.id, owner))
