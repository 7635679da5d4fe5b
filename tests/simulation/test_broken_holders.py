"""A recalculation meets documents that somebody has edited by hand, and Learning Locker's own: the others go on."""

from typing import Any

import pytest
from bson import ObjectId
from structlog.testing import capture_logs

from processor.core.identity import progress_id
from processor.core.recalculation import Stage
from tests.builders import JOURNEY, ORGANISATION, WAYPOINTS, an_owner
from tests.simulation.recalculating import World, a_stored, a_waypoint, the_journey

ANA, BEN = (progress_id(ORGANISATION, JOURNEY, an_owner(name)) for name in ("ana", "ben"))


async def asked(breakage: dict[str, Any]) -> World:
    """What ana and ben have done counts no more; ana's document breaks, and all evidence is judged."""
    world = World()
    await world.save(the_journey(a_waypoint(0, "a")))
    await world.live(a_stored(1, "a", "ana"), a_stored(2, "a", "ben"))
    await world.quiet()
    await world.save(the_journey(a_waypoint(0, "b"), version=2))
    world.database.progresses[ANA].update(breakage)
    world.start()
    worker = world.recalculator()
    while world.is_at(Stage.RETRACT):
        await worker.step()
    return world


@pytest.mark.parametrize(
    "breakage",
    [
        {"completions": None},
        {"completions": [{"waypoints": {WAYPOINTS[0]: None}}]},
        {"pendingProgress": {WAYPOINTS[0]: None}},
        {"pendingProgress": {WAYPOINTS[0]: {"statements": [{"statement": {}}]}}},
        {"processing": {"surplus": 5}},
        {"processing": {"sealed": "all"}},
    ],
    ids=lambda it: str(it)[:50],
)
async def test_a_broken_holder_is_set_aside_alone(breakage: dict[str, Any]) -> None:
    with capture_logs() as logs:
        world = await asked(breakage)
    assert world.asked()[ANA] == []
    assert len(world.asked()[BEN]) == 1
    assert world.metrics.failed_promotions._value.get() == 1
    [line] = [entry for entry in logs if entry["event"] == "recalculation failed"]
    assert (line["progress"], line["log_level"], line["exc_info"]) == (str(ANA), "error", True)


async def test_a_document_of_learning_lockers_is_none_of_ours() -> None:
    world = World()
    await world.save(the_journey(a_waypoint(0, "a")))
    await world.live(a_stored(2, "a", "ben"))
    key = ObjectId()
    theirs = {"_id": key, "journey": JOURNEY, "organisation": ORGANISATION, "completions": []}
    world.database.progresses[key] = theirs
    world.start()
    worker = world.recalculator()
    while world.is_at(Stage.RETRACT):
        await worker.step()
    assert world.metrics.failed_promotions._value.get() == 0
