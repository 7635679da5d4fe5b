"""The relay: publish, then forget; at least once, in order, under a lease (R1, R2)."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from processor.core.records import Record
from processor.core.relaying import Account
from processor.errors import StoreUnavailable
from processor.ports.progress import OutboxClaim
from processor.services.handover import LONG, Handover
from processor.services.relay import SOON, Relay
from processor.services.surroundings import Leasing
from processor.testing.broker import MemoryEventSink
from tests.builders import a_promotion, an_append, an_item
from tests.unit.services.world import BROKER_AWAY, EVENTS, STORE_AWAY, World, raising

LEASE = 60


class Crash(Exception):
    """The process ends here."""


def a_relay(world: World, handover: Handover | None = None, batch: int = 500) -> Relay:
    sink = MemoryEventSink(world.broker, EVENTS, world.effects)
    return Relay(world.store, sink, world.around, Leasing(batch=batch), handover or Handover(Leasing()))


async def promoted(world: World, number: int, owner: str = "ana") -> None:
    """Let revision `number` of a document wait in its outbox."""
    append = an_append(an_item(number), owner=owner)
    await world.append(append)
    now = world.clock.now()
    claim = await world.other.claim(f"{owner}-{number}", now, now, 10)
    [document] = [it for it in claim.documents if it["_id"] == append.progress]
    await world.other.apply(claim, [a_promotion(document, an_item(number))], now)


def published(world: World, owner: str = "ana") -> list[int]:
    """The revisions of a document in the order in which they stand in the topic."""
    key = str(an_append(owner=owner).progress).encode()
    return [int(dict(record.headers)["ce_sequence"]) for record in events(world) if record.key == key]


def events(world: World) -> Sequence[Record]:
    return world.broker.records(EVENTS)


async def test_r1_publish_then_forget() -> None:
    world = World()
    await promoted(world, 1)
    relay = a_relay(world)
    with capture_logs() as logs:
        assert await relay.step() == 1
    assert world.effects.done == ["claim_events", "publish", "forget"]
    assert published(world) == [1]
    assert world.documents[0]["processing"]["outbox"] == []
    assert world.count("events_total") == 1
    assert world.count("relay_seconds_count") == 1
    assert [(line["event"], line["documents"], line["events"]) for line in logs] == [("batch published", 1, 1)]
    assert await relay.step() == 0


async def test_r2_the_events_of_a_document_reach_the_topic_in_revision_order() -> None:
    world = World()
    for number in (1, 2, 3):
        await promoted(world, number)
        await promoted(world, number, owner="ben")
    assert await a_relay(world).step() == 2
    assert published(world) == published(world, owner="ben") == [1, 2, 3]


async def test_r1_an_outage_of_the_broker_is_waited_out_under_the_lease() -> None:
    world = World()
    await promoted(world, 1)
    world.effects.fail("publish.before", BROKER_AWAY, times=3)
    assert await a_relay(world).step() == 1
    assert published(world) == [1]
    assert world.count("outages_total", loop="relay") == 3


async def test_r1_an_outage_of_the_store_after_publishing_repeats_only_the_forgetting() -> None:
    world = World()
    await promoted(world, 1)
    world.effects.fail("forget.before", STORE_AWAY, times=2)
    assert await a_relay(world).step() == 1
    assert published(world) == [1]
    assert world.documents[0]["processing"]["outbox"] == []


@pytest.mark.parametrize("effect", ["publish.after", "forget.before"])
async def test_r1_a_crash_before_forgetting_repeats_the_event_with_the_same_id(effect: str) -> None:
    world = World()
    await promoted(world, 1)
    world.effects.fail(effect, Crash())
    with pytest.raises(Crash):
        await a_relay(world).step()
    assert await a_relay(world).step() == 0  # leased
    world.clock.advance(LEASE + 1)
    assert await a_relay(world).step() == 1
    first, second = events(world)
    assert (first.headers, first.value, first.key) == (second.headers, second.value, second.key)


async def test_r1_a_crash_before_publishing_loses_nothing() -> None:
    world = World()
    await promoted(world, 1)
    for effect in ("claim_events.after", "publish.before"):
        world.effects.fail(effect, Crash())
        with pytest.raises(Crash):
            await a_relay(world).step()
        world.clock.advance(LEASE + 1)
    assert await a_relay(world).step() == 1
    assert published(world) == [1]


async def test_r2_after_its_lease_a_relay_publishes_nothing_more() -> None:
    """Another may have published it, and later ones: ours would come late."""
    world = World()
    await promoted(world, 1)
    world.effects.at("claim_events.after", lambda: world.clock.advance(LEASE))
    assert await a_relay(world).step() == 1
    assert published(world) == []
    assert len(world.documents[0]["processing"]["outbox"]) == 1
    world.clock.advance(1)
    assert await a_relay(world).step() == 1
    assert published(world) == [1]


async def test_r2_a_later_event_waits_for_an_earlier_one_that_was_not_taken() -> None:
    world = World()
    await promoted(world, 1)
    await promoted(world, 2)
    await promoted(world, 1, owner="ben")
    world.effects.fail("publish.before", BROKER_AWAY)  # of the first document's first event
    relay = a_relay(world)
    with capture_logs() as logs:
        assert await relay.step() == 2
    assert (published(world), published(world, owner="ben")) == ([], [1])
    assert (logs[-1]["left"], logs[-1]["events"]) == (1, 1)
    assert await relay.step() == 0
    world.clock.advance(LEASE + 1)
    assert await relay.step() == 1
    assert published(world) == [1, 2]


async def test_an_event_added_meanwhile_is_not_forgotten() -> None:
    world = World()
    await promoted(world, 1)
    relay = a_relay(world)
    await relay.step()
    await promoted(world, 2)
    assert await relay.step() == 1
    assert published(world) == [1, 2]


async def test_a_store_that_does_not_answer_a_claim_is_the_supervisors_to_wait_for() -> None:
    world = World()
    await promoted(world, 1)
    world.effects.fail("claim_events.before", STORE_AWAY)
    with pytest.raises(StoreUnavailable):
        await a_relay(world).step()


async def promoted_for(world: World, handover: Handover, owner: str = "ana") -> Callable[[], None]:
    """Let an event wait in an outbox that is handed to this relay; return what wakes it for that."""
    append = an_append(an_item(1), owner=owner)
    await world.append(append)
    now = world.clock.now()
    claim = await world.other.claim(f"key of {owner}", now, now, 10)
    lending = ExitStack()
    lease = lending.enter_context(handover.lease(now))
    applied = await world.other.apply(claim, [a_promotion(claim.documents[0], an_item(1))], now, lease)

    def given() -> None:
        handover.give(lease, applied.outboxes)
        lending.close()

    return given


async def test_r1_what_was_handed_over_and_not_published_is_left_to_others_at_the_end() -> None:
    world = World()
    handover = await world.handover()
    (await promoted_for(world, handover))()
    assert await a_relay(world).step() == 0  # another relay finds it held

    await a_relay(world, handover).give_back()
    assert await a_relay(world).step() == 1
    assert published(world) == [1]


async def one_published_while_another_comes(monkeypatch: pytest.MonkeyPatch) -> tuple[World, Relay]:
    """Ana's event is handed over; Ben's will be as soon as hers is published, and ends the lingering, however long."""
    monkeypatch.setattr("processor.services.relay.LINGER", 60.0)
    world = World()
    handover = await world.handover(room=8)
    first, second = await promoted_for(world, handover), await promoted_for(world, handover, "ben")
    relay = a_relay(world, handover, batch=2)
    first()
    world.effects.at("publish.after", second)
    return world, relay


async def test_what_is_handed_over_meanwhile_is_forgotten_with_what_was_published(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, relay = await one_published_while_another_comes(monkeypatch)
    assert await relay.step() == 2
    assert world.effects.done[-3:] == ["publish", "publish", "keep_account"]


def lingers(monkeypatch: pytest.MonkeyPatch, linger: float, longest: float) -> None:
    """Let a relay wait so many seconds for more, and so many in all."""
    monkeypatch.setattr("processor.services.relay.LINGER", linger)
    monkeypatch.setattr("processor.services.relay.LONGEST", longest)


async def test_r2_what_is_published_is_so_for_its_process_while_its_account_still_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The learner's next event need not wait for that."""
    lingers(monkeypatch, 60.0, 60.0)
    world, noted = World(), asyncio.Event()
    note = world.store.note_account

    def spy(account: Account) -> None:
        note(account)
        noted.set()

    monkeypatch.setattr(world.store, "note_account", spy)
    handover = await world.handover(room=8)
    first, second = await promoted_for(world, handover), await promoted_for(world, handover, "ben")
    first()
    step = asyncio.create_task(a_relay(world, handover, batch=2).step())
    async with asyncio.timeout(10):
        await noted.wait()
    assert published(world) == [1]
    ana = an_append().progress
    for store, waits in ((world.store, 0), (world.other, 1)):
        assert len((await store.at_rest([ana]))[ana]["processing"]["outbox"]) == waits
    assert "keep_account" not in world.effects.done
    second()
    assert await step == 2


@pytest.mark.parametrize(("linger", "longest"), [(60.0, 0.02), (0.02, 60.0)], ids=["much comes", "no more comes"])
async def test_what_was_published_is_forgotten_in_the_end(
    monkeypatch: pytest.MonkeyPatch, linger: float, longest: float
) -> None:
    lingers(monkeypatch, linger, longest)
    world = World()
    handover = await world.handover(room=8)
    (await promoted_for(world, handover))()
    async with asyncio.timeout(10):
        relay = a_relay(world, handover)
        assert await relay.step() == 1
        assert await relay.step() == 0
    assert world.waiting() == [0]


@pytest.mark.parametrize("is_marked", [True, False])
async def test_what_its_own_process_has_marked_is_looked_for_soon(
    monkeypatch: pytest.MonkeyPatch, is_marked: bool
) -> None:
    """A learner's next event that comes while the last is in hand; others may wait, where enough is handed over."""
    lingers(monkeypatch, 0.01, 0.01)
    world = World()
    handover = await world.handover(room=8)
    relay = a_relay(world, handover)
    assert await relay.step() == 0  # it has looked
    (await promoted_for(world, handover))()
    await promoted(world, 1, "ben")
    handover.give(None, {}, is_all=not is_marked)
    world.clock.advance(SOON.total_seconds())
    await relay.step()
    assert (published(world), published(world, "ben")) == ([1], [1] if is_marked else [])


async def test_it_is_looked_for_once_more_where_it_came_to_what_is_published_just_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lingers(monkeypatch, 0.01, 0.01)
    world = World()
    handover = await world.handover(room=8)
    relay = a_relay(world, handover)
    assert await relay.step() == 0
    (await promoted_for(world, handover))()
    await promoted(world, 2)  # comes to that, and is marked
    handover.give(None, {}, is_all=False)
    world.clock.advance(SOON.total_seconds())
    await relay.step()  # a look finds it in the hands of a relay: this one
    assert published(world) == [1]
    world.clock.advance(SOON.total_seconds())
    (await promoted_for(world, handover, "ben"))()
    await relay.step()
    assert (published(world), published(world, "ben")) == ([1, 2], [1])
    assert not handover.is_marked


async def test_where_more_waits_than_one_claim_takes_the_next_look_is_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lingers(monkeypatch, 0.01, 0.01)
    world = World()
    handover = await world.handover(room=8)
    relay = a_relay(world, handover, batch=1)
    assert await relay.step() == 0
    world.clock.advance(SOON.total_seconds())
    for owner in ("ben", "cleo"):
        await promoted(world, 1, owner)
    handover.give(None, {}, is_all=False)
    for owner in ("ana", "dan"):
        (await promoted_for(world, handover, owner))()
        await relay.step()
    assert (published(world, "ben"), published(world, "cleo")) == ([1], [1])


async def test_after_an_outage_it_is_looked_for_as_soon() -> None:
    world = World()
    handover = await world.handover(room=8)
    handover.give(None, {}, is_all=False)
    await promoted(world, 1)
    world.effects.fail("claim_events.before", STORE_AWAY)
    with pytest.raises(StoreUnavailable):
        await a_relay(world, handover).step()
    assert handover.is_marked


async def test_nobody_lingers_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    lingers(monkeypatch, 60.0, 60.0)
    world = World()
    handover = await world.handover(room=8)
    (await promoted_for(world, handover))()

    def marks() -> None:
        world.clock.advance(SOON.total_seconds())
        handover.give(None, {}, is_all=False)

    world.effects.at("publish.after", marks)
    async with asyncio.timeout(10):
        assert await a_relay(world, handover).step() == 1


async def test_what_was_claimed_is_not_forgotten_late_because_much_is_handed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What comes to such an outbox meanwhile waits for that."""
    lingers(monkeypatch, 0.05, 60.0)
    world = World()
    handover = await world.handover(room=8)
    others = [await promoted_for(world, handover, f"o{number}") for number in range(40)]
    await promoted(world, 1)
    step = asyncio.create_task(a_relay(world, handover).step())
    for other in others:
        other()
        await asyncio.sleep(0.01)
    assert await step < len(others)


async def test_r1_what_is_published_does_not_wait_for_an_outage_that_comes_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its lease would run out, and another would repeat it."""
    world, relay = await one_published_while_another_comes(monkeypatch)
    world.effects.at("publish.before", lambda: None, raising(BROKER_AWAY))
    assert await relay.step() == 1
    assert (published(world), published(world, owner="ben")) == ([1], [])
    assert relay._forgetting._task, "beside the next step"
    await relay._forgetting._task
    monkeypatch.setattr("processor.services.relay.LINGER", 0.0)
    assert world.waiting() == [0, 1]
    assert await relay.step() == 1
    assert published(world, owner="ben") == [1]


async def some_published_and_another_to_come() -> tuple[World, Relay]:
    """Ana's and Eve's events are published, and are still to be forgotten; Ben's waits."""
    world = World()
    handover = await world.handover(room=8)
    ana = await promoted_for(world, handover)
    world.clock.advance(LEASE / 4)
    eve, ben = await promoted_for(world, handover, "eve"), await promoted_for(world, handover, "ben")
    relay = a_relay(world, handover, batch=2)
    ana()
    eve()
    world.effects.at("publish.after", lambda: None, ben)
    assert await relay.step() == 2
    assert world.effects.done[-2:] == ["publish", "publish"]
    return world, relay


async def test_what_was_published_is_forgotten_beside_the_next_publication() -> None:
    world, relay = await some_published_and_another_to_come()
    assert await relay.step() == 1
    assert sorted(world.effects.done[-3:]) == ["keep_account", "keep_account", "publish"]
    assert (published(world), published(world, owner="ben")) == ([1], [1])
    assert world.waiting() == [0, 0, 0]


async def test_r1_a_forgetting_that_fails_fails_the_next_step_and_loses_nothing_of_its_own() -> None:
    world, relay = await some_published_and_another_to_come()
    world.effects.fail("keep_account.before", Crash())
    with pytest.raises(Crash):
        await relay.step()
    assert world.waiting() == [1, 1, 1]
    await relay.give_back()
    assert world.waiting() == [0, 0, 0]


async def test_r1_what_is_still_to_be_forgotten_is_not_found_again_after_its_lease() -> None:
    world, relay = await some_published_and_another_to_come()
    world.clock.advance(LEASE + 1)  # Ana's
    await relay.step()
    assert published(world) == [1]


async def test_a_relay_that_is_asked_to_stop_leaves_nothing_to_be_forgotten() -> None:
    world = World()
    handover = await world.handover(room=8)
    first, second = await promoted_for(world, handover), await promoted_for(world, handover, "ben")
    first()

    def stopped() -> None:
        second()
        world.around.stop.set()

    world.effects.at("publish.after", stopped)
    assert await a_relay(world, handover, batch=1).step() == 1
    assert world.effects.done[-1] == "keep_account"


async def test_r2_a_claim_that_waited_for_that_has_a_whole_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    world, relay = await some_published_and_another_to_come()
    world.clock.advance(LEASE + 1)
    world.effects.at("keep_account.after", lambda: None, lambda: world.clock.advance(LEASE - 1))
    claimed: list[timedelta] = []
    claim = world.store.claim_events

    async def spy(lock_key: str, now: datetime, until: datetime, limit: int) -> OutboxClaim:
        claimed.append(until - world.clock.now())
        return await claim(lock_key, now, until, limit)

    monkeypatch.setattr(world.store, "claim_events", spy)
    await relay.step()
    assert claimed == [timedelta(seconds=LEASE)]


@pytest.mark.parametrize(("waited", "events"), [(LEASE / 2, [1]), (LEASE / 2 + 1, [])])
async def test_r2_what_cannot_be_delivered_within_its_lease_is_left_to_others(waited: float, events: list[int]) -> None:
    """Half of a lease has to be left."""
    world = World()
    handover = await world.handover()
    (await promoted_for(world, handover))()
    world.clock.advance(waited)
    await a_relay(world, handover).step()
    assert published(world) == events
    await a_relay(world).step()
    assert published(world) == [1]


async def test_r1_of_what_was_handed_over_at_once_only_what_is_not_published_is_left_to_others() -> None:
    world = World()
    handover = await world.handover()
    appends = [an_append(an_item(1), owner=owner) for owner in ("ana", "ben")]
    await world.append(*appends)
    now = world.clock.now()
    claim = await world.other.claim("key", now, now, 10)
    with handover.lease(now) as lease:
        applied = await world.other.apply(claim, [a_promotion(it, an_item(1)) for it in claim.documents], now, lease)
        handover.give(lease, applied.outboxes)
    world.effects.fail("publish.before", BROKER_AWAY)  # of the first one's event
    assert await a_relay(world, handover).step() == 2
    assert (published(world), published(world, owner="ben")) == ([], [1])
    assert handover.account.is_published(1)
    assert world.waiting() == [1, 0]
    assert await a_relay(world).step() == 1
    assert (published(world), published(world, owner="ben")) == ([1], [1])


async def test_r1_a_look_that_fails_leaves_what_was_handed_over_where_it_was() -> None:
    world = World()
    handover = await world.handover()
    (await promoted_for(world, handover))()
    await promoted(world, 1, owner="ben")  # is there to be found
    relay = a_relay(world, handover)
    world.effects.fail("claim_events.before", STORE_AWAY)
    with pytest.raises(StoreUnavailable):
        await relay.step()
    assert handover.waits
    assert await relay.step() == 2
    assert published(world) == [1]


async def test_r1_what_a_failed_write_may_have_done_is_told_by_the_next_step() -> None:
    """However long the lease that is left."""
    world = World()
    handover = await world.handover()
    append = an_append(an_item(1))
    await world.append(append)
    now = world.clock.now()
    claim = await world.other.claim("key", now, now, 10)
    world.effects.fail("apply.after", STORE_AWAY)
    with pytest.raises(StoreUnavailable), handover.lease(now) as lease:
        await world.store.apply(claim, [a_promotion(claim.documents[0], an_item(1))], now, lease)
    world.effects.done.clear()
    await a_relay(world, handover).step()
    assert published(world) == [1]
    assert world.effects.done[0] == "keep_account"
    world.effects.done.clear()
    await a_relay(world, handover).step()
    assert published(world) == [1]


async def test_an_account_that_has_become_long_is_ended_and_another_begun() -> None:
    world = World()
    handover = await world.handover()
    for _ in range(LONG):
        with pytest.raises(StoreUnavailable), handover.lease(world.clock.now()):
            raise STORE_AWAY
    long = handover.account
    assert len(long.left) == LONG
    world.clock.advance(LEASE)  # so that it tells again how long it stays
    await a_relay(world, handover).step()
    assert handover.account == Account(handover.account.relay, LONG), "the numbers go on"
    assert handover.account.relay != long.relay
    assert world.database.relays[long.relay].account == long
    assert world.database.relays[long.relay].until == world.clock.now(), "others look for all of it"


async def test_who_is_cancelled_forgets_nothing_more() -> None:
    world, relay = await some_published_and_another_to_come()
    world.effects.fail("keep_account.before", STORE_AWAY, times=10_000)
    step = asyncio.create_task(relay.step())

    def cancelled() -> None:
        step.cancel()

    world.effects.at("publish.before", cancelled)
    with pytest.raises(asyncio.CancelledError):
        await step
    assert not [task for task in asyncio.all_tasks() if "Forgetting._forget" in repr(task)]
    assert world.waiting() == [1, 1, 1]
    await relay.give_back()  # goes on from there


async def test_at_the_end_what_was_published_is_forgotten_first() -> None:
    world, relay = await some_published_and_another_to_come()
    await relay.give_back()
    assert world.waiting() == [0, 0, 1]


async def test_at_the_end_a_store_that_is_away_is_not_waited_for() -> None:
    world = World()
    handover = await world.handover()
    (await promoted_for(world, handover))()
    world.effects.fail("keep_account.before", STORE_AWAY)
    await a_relay(world, handover).give_back()
    assert not handover.waits
    assert world.waiting() == [1]
