"""The promoter: claim, promote, apply; fenced, up to date, and one broken document harms no other (P1, P2, P3)."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from processor.core.policy import FoldingPolicy
from processor.core.promotion import SURPLUS_CUT
from processor.ports.progress import Claim
from processor.services.surroundings import Leasing
from tests.builders import JOURNEY, WAYPOINTS, a_journey, a_reference, an_append, an_item, at
from tests.unit.services.promoting import LEASE, a_promoter
from tests.unit.services.world import World, pending

AWAY = [
    {
        "segment": a_reference(9),
        "attempts": 1,
        "last": {"timestamp": at(99), "order": 0, "statement": a_reference(9), "waypoint": WAYPOINTS[0]},
    }
]
"""A manifest: attempts that have left a document."""

REPEATABLE: dict[str, Any] = {"_id": JOURNEY, "isRepeatable": True}


def a_newer_journey() -> dict[str, Any]:
    """The builders' journey in version 2, with a second waypoint."""
    journey = a_journey(_id=JOURNEY)
    second = {**journey["waypoints"][0], "_id": WAYPOINTS[1]}
    return {**journey, "version": 2, "waypoints": [*journey["waypoints"], second]}


async def test_claim_promote_apply() -> None:
    world = World()
    await world.append(an_append(owner="ana"), an_append(owner="ben"))
    promoter = await a_promoter(world)
    with capture_logs() as logs:
        assert await promoter.step() == 2
    assert world.effects.done == ["claim"] * 2 + ["apply"] * 2
    for document in world.documents:
        assert document["isCompleted"] is True
        assert not pending(document)
        assert [event.revision for event in document["processing"]["outbox"]] == [1]
        assert not {"lease", "due"} & set(document["processing"])
    assert (world.count("promotions_total"), world.count("fenced_total")) == (2, 0)
    [line] = [entry for entry in logs if entry["event"] == "batch promoted"]
    assert (line["documents"], line["events"], line["lockKey"]) == (2, 2, world.documents[0]["lockKey"])
    assert await promoter.step() == 0


async def test_the_first_evidence_that_is_cut_is_an_increase() -> None:
    """Prometheus sees none in a counter that was not there before."""
    world = World()
    await a_promoter(world)
    read = world.metrics.registry.get_sample_value
    assert read("journey_progress_dropped_evidence_total", {"reason": SURPLUS_CUT}) == 0


async def test_the_relay_is_told_only_when_there_is_something_to_publish() -> None:
    world = World(a_journey(_id=JOURNEY, isActive=False))
    promoter = await a_promoter(world)
    await world.append(an_append())
    assert await promoter.step() == 1
    assert not promoter._handover.given.is_set()
    world.put(a_journey(_id=JOURNEY))
    await world.journeys.refresh()
    await world.other.mark_due({JOURNEY: 1}, world.clock.now())
    await promoter.step()
    assert promoter._handover.given.is_set()
    assert promoter._handover.is_marked  # no lease is lent here: it is to look for the mark


async def test_p1_each_claim_has_a_fresh_key_and_a_lease() -> None:
    world = World(a_journey(**REPEATABLE))
    promoter = await a_promoter(world)
    keys = set()
    for number in (1, 2, 3):
        await world.append(an_append(an_item(number)))
        await promoter.step()
        keys.add(world.documents[0]["lockKey"])
    assert len(keys) == 3


async def test_p1_a_claim_takes_no_more_than_a_batch() -> None:
    world = World()
    await world.append(*(an_append(owner=name) for name in "abc"))
    promoter = await a_promoter(world, leasing=Leasing(batch=2))
    assert [await promoter.step() for _ in range(3)] == [2, 1, 0]


async def test_a_step_that_leaves_something_to_do_tells_of_a_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that its loop does not rest: more is pending than one fold takes, or others were quicker to claim."""
    world = World(a_journey(**REPEATABLE))
    many = FoldingPolicy().pending_limit + 1
    await world.append(an_append(*map(an_item, range(1, many + 1))))
    promoter = await a_promoter(world, leasing=Leasing(batch=3))
    assert [await promoter.step() for _ in range(3)] == [3, 1, 0]

    await world.append(*(an_append(owner=name) for name in "abcd"))
    claim = world.store.claim

    async def overtaken(*arguments: Any) -> Claim:
        return dataclasses.replace(await claim(*arguments), documents=())

    monkeypatch.setattr(world.store, "claim", overtaken)
    assert await promoter.step() == 3


def an_overtaking(world: World) -> Callable[[], None]:
    """Time passes beyond the lease, and another worker claims what was ours."""

    def overtake() -> None:
        world.clock.advance(LEASE + 1)
        for document in world.documents:
            document["lockKey"] = "another"
            document["processing"]["lease"] = world.clock.now()

    return overtake


async def test_p1_a_promotion_whose_lock_is_gone_is_fenced_and_changes_nothing() -> None:
    world = World()
    await world.append(an_append())
    promoter = await a_promoter(world)
    world.effects.at("apply.before", an_overtaking(world))
    assert await promoter.step() == 1
    [document] = world.documents
    assert (document["completions"], len(pending(document))) == ([], 1)
    assert (world.count("promotions_total"), world.count("fenced_total")) == (0, 1)


async def test_trap_6_a_lease_shorter_than_the_apply_costs_work_is_told_and_doubles_nothing() -> None:
    world = World()
    await world.append(an_append())
    slow, quick = await a_promoter(world), await a_promoter(world)
    world.effects.at("apply.before", an_overtaking(world))
    await slow.step()
    world.clock.advance(LEASE + 1)
    assert await quick.step() == 1
    [document] = world.documents
    assert [event.revision for event in document["processing"]["outbox"]] == [1]
    assert (world.count("fenced_total"), world.count("promotions_total")) == (1, 1)
    assert world.count("promote_seconds_count") == 2  # what an operator compares with the lease


async def test_p3_an_append_during_a_promotion_is_promoted_next() -> None:
    world = World(a_journey(**REPEATABLE))
    await world.append(an_append(an_item(1)))
    promoter = await a_promoter(world)
    world.effects.at("apply.before", lambda: world.other._append(an_append(an_item(2)), world.clock.now()))
    await promoter.step()
    assert [entry["statement"] for entry in pending(world.documents[0])] == [an_item(2).statement]
    assert await promoter.step() == 1
    assert len(world.documents[0]["completions"]) == 2


async def test_trap_7_an_older_snapshot_is_refreshed_before_the_fold() -> None:
    world = World()
    promoter = await a_promoter(world)
    world.put(a_newer_journey())
    await world.append(an_append(an_item(1), waypoint=WAYPOINTS[1], version=2))
    await promoter.step()
    [document] = world.documents
    assert list(document["completions"][0]["waypoints"]) == [WAYPOINTS[1]]
    assert world.count("dropped_evidence_total", reason="unknown-waypoint") == 0


async def test_trap_7_a_journey_that_is_new_is_looked_for() -> None:
    world = World()
    promoter = await a_promoter(world, is_refreshed=False)
    await world.append(an_append())
    await promoter.step()
    assert world.documents[0]["isCompleted"] is True


async def test_trap_7_a_snapshot_that_is_not_older_is_left_alone() -> None:
    world = World(a_newer_journey())
    promoter = await a_promoter(world)
    world.effects.fail("journeys.load.before", AssertionError("they are read again"))
    await world.append(an_append(version=1), an_append(owner="ben", version=2))
    assert await promoter.step() == 2


async def test_a_document_whose_journey_is_gone_waits() -> None:
    world = World(a_journey())
    await world.append(an_append())
    promoter = await a_promoter(world)
    await promoter.step()
    [document] = world.documents
    assert (document["processing"]["waiting"], len(pending(document))) == (True, 1)
    assert await promoter.step() == 0


@pytest.mark.parametrize(
    ("processing", "changes"),
    [
        ({"spilled": AWAY}, {"pendingProgress": None}),
        ({"spilled": AWAY}, {"pendingProgress": []}),
        ({"spilled": AWAY, "surplus": []}, {}),
        ({"version": float("inf")}, {}),
    ],
    ids=["no pending", "a list of pending", "a list of surplus", "an endless version"],
)
async def test_a_document_that_was_edited_by_hand_harms_no_other(
    processing: dict[str, Any], changes: dict[str, Any]
) -> None:
    world = World()
    await world.append(an_append(owner="ana"), an_append(owner="ben"))
    odd, fine = world.documents
    odd["processing"] |= processing
    odd |= changes
    promoter = await a_promoter(world)
    assert await promoter.step() == 2
    [promoted] = [it for it in world.documents if it["_id"] == fine["_id"]]
    assert promoted["isCompleted"] is True


async def test_what_is_dropped_is_counted_by_reason() -> None:
    world = World()
    await world.append(an_append(an_item(1), an_item(2), an_item(3)), an_append(waypoint=WAYPOINTS[5]))
    promoter = await a_promoter(world)
    await promoter.step()
    assert world.count("dropped_evidence_total", reason="after-completion") == 2
    assert world.count("dropped_evidence_total", reason="unknown-waypoint") == 1
