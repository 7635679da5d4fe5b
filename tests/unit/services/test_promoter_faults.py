"""The promoter when a document is broken or the store is away: nothing is lost, doubled, or held up."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from processor.errors import StoreUnavailable
from tests.builders import an_append
from tests.unit.services.promoting import LEASE, a_promoter
from tests.unit.services.world import STORE_AWAY, World


@pytest.mark.parametrize(
    "breakage",
    [
        {"completions": [{"waypoints": "none"}]},
        {"pendingProgress": None},
        {"journey": {"$oid": "x"}},
        {"processing": {"surplus": 5}},
    ],
    ids=["completions", "pendingProgress", "journey", "surplus"],
)
async def test_one_document_that_cannot_be_promoted_is_set_aside_alone(breakage: dict[str, Any]) -> None:
    world = World()
    appends = an_append(owner="ana"), an_append(owner="ben")
    await world.append(*appends)
    broken, fine = (world.document(append.progress) for append in appends)
    broken.update({**breakage, "processing": {**broken["processing"], **breakage.get("processing", {})}})
    promoter = await a_promoter(world)
    with capture_logs() as logs:
        assert await promoter.step() == 2
    assert fine["isCompleted"] is True
    assert broken["isCompleted"] is False
    assert world.count("failed_promotions_total") == 1
    [line] = [entry for entry in logs if entry["event"] == "promotion failed"]
    assert line["progress"] == str(broken["_id"])
    assert line["exc_info"]

    assert await promoter.step() == 0  # until its lease is over: it must not spin
    world.clock.advance(LEASE + 1)
    assert await promoter.step() == 1


async def test_a_version_that_cannot_be_compared_harms_no_other_document() -> None:
    world = World()
    appends = an_append(owner="ana"), an_append(owner="ben")
    await world.append(*appends)
    world.document(appends[0].progress)["processing"]["version"] = "two"
    promoter = await a_promoter(world)
    assert await promoter.step() == 2
    assert world.document(appends[1].progress)["isCompleted"] is True


async def test_trap_3_an_apply_of_which_nobody_knows_is_repeated_and_fills_the_outbox_once() -> None:
    world = World()
    await world.append(an_append())
    promoter = await a_promoter(world)
    world.effects.fail("apply.after", STORE_AWAY)
    assert await promoter.step() == 1
    assert [event.revision for event in world.documents[0]["processing"]["outbox"]] == [1]
    assert world.count("outages_total", loop="promote") == 1


async def test_an_outage_at_the_apply_is_waited_out_with_the_decisions_at_hand() -> None:
    world = World()
    await world.append(an_append())
    promoter = await a_promoter(world)
    world.effects.fail("apply.before", STORE_AWAY, times=3)
    assert await promoter.step() == 1
    assert world.documents[0]["isCompleted"] is True
    assert world.effects.done.count("claim") == 1
    assert world.count("outages_total", loop="promote") == 3


async def test_what_was_claimed_when_the_process_ended_is_claimed_again_after_its_lease() -> None:
    world = World()
    await world.append(an_append())
    promoter = await a_promoter(world)
    world.effects.fail("apply.before", STORE_AWAY)
    world.around.stop.set()
    with pytest.raises(StoreUnavailable):
        await promoter.step()
    assert await promoter.step() == 0
    world.clock.advance(LEASE + 1)
    assert await promoter.step() == 1
    assert world.documents[0]["isCompleted"] is True


async def test_a_store_that_does_not_answer_a_claim_is_the_supervisors_to_wait_for() -> None:
    world = World()
    await world.append(an_append())
    promoter = await a_promoter(world)
    world.effects.fail("claim.before", STORE_AWAY)
    with pytest.raises(StoreUnavailable):
        await promoter.step()
