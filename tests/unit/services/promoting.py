"""A promoter of a world in memory."""

from processor.core.policy import FoldingPolicy
from processor.services.handover import Handover
from processor.services.promoter import Promoter
from processor.services.promoting import Promoting
from processor.services.surroundings import Leasing
from tests.unit.services.world import World

LEASE = 60
"""The default lease, in seconds."""


async def a_promoter(world: World, is_refreshed: bool = True, leasing: Leasing | None = None) -> Promoter:
    if is_refreshed:
        await world.journeys.refresh()
    around = world.around
    return Promoter(
        Promoting(world.store, world.journeys, FoldingPolicy(), around, leasing or Leasing(), Handover(Leasing()))
    )
