"""`recalculate JOURNEY --cancel`, from outside."""

import orjson
import pytest

from processor.operating import apply_journeys
from processor.settings import Settings
from processor.store.connect import JOURNEYS, RECALCULATIONS, Database
from tests.acceptance.commands import ran
from tests.builders import JOURNEY
from tests.simulation.recalculating import a_waypoint, the_journey


async def test_what_was_asked_for_is_cancelled(settings: Settings, mongo_database: Database) -> None:
    await apply_journeys(settings, [the_journey(a_waypoint(0, "a", 2))])
    assert (await ran(settings, "recalculate", str(JOURNEY))).returncode == 0
    await mongo_database[JOURNEYS].update_one({"_id": JOURNEY}, {"$set": {"isActive": False}})
    cancelled = await ran(settings, "recalculate", str(JOURNEY), "--cancel")
    assert (cancelled.returncode, cancelled.stdout) == (0, f"recalculation of {JOURNEY} cancelled\n")
    work = await mongo_database[RECALCULATIONS].find_one({"_id": JOURNEY})
    assert work is not None
    assert work["isCancelled"]
    assert work["cancelledAt"] >= work["recalculatedAt"]


async def test_there_may_be_nothing_to_cancel(settings: Settings, mongo_database: Database) -> None:
    absent = await ran(settings, "recalculate", str(JOURNEY), "--cancel")
    assert (absent.returncode, "there is no journey" in absent.stderr) == (65, True)
    await apply_journeys(settings, [the_journey(a_waypoint(0, "a", 2))])
    idle = await ran(settings, "recalculate", str(JOURNEY), "--cancel")
    assert (idle.returncode, idle.stdout) == (0, f"recalculation of {JOURNEY} was not under way\n")


async def test_scripts_are_answered_in_json(settings: Settings, mongo_database: Database) -> None:
    await apply_journeys(settings, [the_journey(a_waypoint(0, "a", 2))])
    cancelling = "recalculate", str(JOURNEY), "--cancel", "--json"
    idle = await ran(settings, *cancelling)
    asked = await ran(settings, "recalculate", str(JOURNEY), "--json")
    cancelled = await ran(settings, *cancelling)
    assert orjson.loads(idle.stdout) == {"journey": str(JOURNEY), "cancelled": False}
    assert orjson.loads(asked.stdout)["inProgress"]
    assert orjson.loads(cancelled.stdout) == {"journey": str(JOURNEY), "cancelled": True}
    assert await mongo_database[RECALCULATIONS].count_documents({"isCancelled": True}) == 1


@pytest.mark.parametrize("option", ["--dry-run", "--wait", "--actor=ana"])
async def test_cancelling_goes_with_no_other_option(settings: Settings, option: str) -> None:
    refused = await ran(settings, "recalculate", str(JOURNEY), "--cancel", option)
    assert (refused.returncode, "--cancel" in refused.stderr) == (2, True)
