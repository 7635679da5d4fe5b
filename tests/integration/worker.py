"""One step of a promoter in a process of its own; `freeze` stops it between its claim and its apply, as SIGSTOP can."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta

from processor.clock import SystemClock
from processor.core.evidence import Promotion
from processor.core.policy import FoldingPolicy
from processor.metrics import Metrics
from processor.ports.progress import Applied, Claim, RelayLease
from processor.services.handover import Handover
from processor.services.journeys import Journeys
from processor.services.promoter import Promoter
from processor.services.promoting import Promoting
from processor.services.surroundings import Leasing, Surroundings
from processor.settings import Settings
from processor.store.connect import open_database
from processor.store.journeys import MongoJourneyCatalog
from processor.store.progress import MongoProgressStore


class FreezingStore(MongoProgressStore):
    """Decided, and then nothing for a long time."""

    async def apply(
        self, claim: Claim, promotions: Sequence[Promotion], now: datetime, lease: RelayLease | None = None
    ) -> Applied:
        os.kill(os.getpid(), signal.SIGSTOP)
        return await super().apply(claim, promotions, now, lease)


async def main(is_freezing: bool) -> None:
    settings, around = Settings(_env_file=None), Surroundings(SystemClock(), Metrics())
    async with open_database(settings) as database:
        catalog = MongoJourneyCatalog(database)
        journeys = Journeys(catalog, around)
        await journeys.refresh()
        store = FreezingStore(database) if is_freezing else MongoProgressStore(database)
        leasing = Leasing(timedelta(seconds=settings.lease))
        worker = Promoter(Promoting(store, journeys, FoldingPolicy(), around, leasing, Handover(leasing)))
        while not await worker.step():
            await around.pause(0.1)
    read = around.metrics.registry.get_sample_value
    sys.stdout.write(f"{read('journey_progress_promotions_total'):g} {read('journey_progress_fenced_total'):g}\n")


if __name__ == "__main__":
    asyncio.run(main("freeze" in sys.argv))
