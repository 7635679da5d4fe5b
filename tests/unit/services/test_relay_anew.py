"""A relay whose account has become long begins another, while the loops of its process go on."""

from contextlib import ExitStack
from datetime import timedelta

import pytest

from processor.core.relaying import Account
from processor.ports.progress import RelayLease
from processor.services.forgetting import RENEWAL
from processor.services.handover import LENT, LONG, Handover
from processor.services.relay import Relay
from processor.services.surroundings import Leasing
from processor.testing.broker import MemoryEventSink
from tests.builders import a_promotion, an_append, an_item
from tests.unit.services.world import EVENTS, STORE_AWAY, World

LEASE = 60


class Crash(Exception):
    """The write fails."""


def with_a_long_account(world: World, seconds: float) -> Handover:
    """One that has left many numbers to others, and holds its lease for so long."""
    handover = Handover(Leasing(timedelta(seconds=LEASE)), room=8)
    handover.is_held(world.clock.now() + timedelta(seconds=10_000))
    for _ in range(LONG):
        with pytest.raises(Crash), handover.lease(world.clock.now()):
            raise Crash
    handover.is_held(world.clock.now() + timedelta(seconds=seconds))
    return handover


def a_relay(world: World, handover: Handover) -> Relay:
    sink = MemoryEventSink(world.broker, EVENTS, world.effects)
    return Relay(world.store, sink, world.around, Leasing(timedelta(seconds=LEASE)), handover)


async def test_a_long_account_ends_and_another_begins() -> None:
    world = World()
    handover = with_a_long_account(world, 0)
    old = handover.account
    await a_relay(world, handover).step()
    now = world.clock.now()
    ended, new = world.database.relays[old.relay], world.database.relays[handover.account.relay]
    assert (ended.account, ended.until) == (old, now)
    assert (new.account, new.until) == (Account(handover.account.relay, LONG), now + timedelta(seconds=LEASE))
    assert handover.until == new.until


async def test_nothing_is_lent_before_the_new_account_is_kept() -> None:
    world = World()
    handover = with_a_long_account(world, 0)
    world.effects.at("keep_account.before", lambda: None, lambda: asked.append(is_lent(world, handover)))
    asked: list[bool] = []
    await a_relay(world, handover).step()
    assert asked == [False]
    assert is_lent(world, handover)


def is_lent(world: World, handover: Handover) -> bool:
    with handover.lease(world.clock.now()) as lease:
        return lease is not None


async def test_a_store_that_is_away_then_leaves_the_relay_as_it_was_and_it_is_done_again() -> None:
    world = World()
    handover = with_a_long_account(world, 0)
    old = handover.account
    world.effects.fail("keep_account.before", STORE_AWAY)
    relay = a_relay(world, handover)
    with pytest.raises(type(STORE_AWAY)):
        await relay.step()
    await relay.step()
    assert set(world.database.relays) == {old.relay, handover.account.relay}
    assert handover.account.left == frozenset()


async def test_it_waits_for_the_writes_that_are_under_way() -> None:
    world = World()
    handover = Handover(Leasing(timedelta(seconds=LEASE)), room=8)
    handover.is_held(world.clock.now() + timedelta(seconds=LEASE))
    relay, running = handover.account.relay, a_relay(world, handover)
    with handover.lease(world.clock.now()) as lease:
        assert lease
        for number in range(2, LONG + 2):
            handover.left(number)
        await running.step()
        assert handover.account.relay == relay
    assert world.database.relays[relay].account.open == {lease.number}
    world.clock.advance(LEASE)
    await running.step()
    assert handover.account.relay != relay


async def test_r2_a_write_that_begins_while_the_old_account_ends_is_not_for_two_relays() -> None:
    """The relay's lease is long enough to lend, and short enough to be renewed."""
    world, lent = World(), ExitStack()
    handover = with_a_long_account(world, LEASE * (LENT + RENEWAL) / 2)
    begun: list[RelayLease | None] = []
    world.effects.at("keep_account.before", lambda: begun.append(lent.enter_context(handover.lease(world.clock.now()))))
    relay = a_relay(world, handover)
    await relay.step()
    [lease] = begun
    await filled(world, handover, lease)
    lent.close()
    world.clock.advance(2)
    others = await world.other.claim_events("others", world.clock.now(), world.clock.now(), 10)
    await relay.step()
    published = [record.key for record in world.broker.records(EVENTS)]
    assert len(published) + len(others.outboxes) == 1


async def filled(world: World, handover: Handover, lease: RelayLease | None, owner: str = "ana") -> None:
    """Let an event wait in an outbox that is handed over under the lease."""
    append = an_append(an_item(1), owner=owner)
    await world.append(append)
    now = world.clock.now()
    claim = await world.other.claim(owner, now, now, 10)
    applied = await world.other.apply(claim, [a_promotion(claim.documents[0], an_item(1))], now, lease)
    handover.give(lease, applied.outboxes)


async def test_a_busy_relay_begins_another_too() -> None:
    """Its account is written after each publication, and `left` would grow for as long as the process lives."""
    world = World()
    handover = with_a_long_account(world, LEASE)
    relay, old = a_relay(world, handover), handover.account.relay
    for number in range(1, 20):
        with handover.lease(world.clock.now()) as lease:
            await filled(world, handover, lease, f"o{number}")
        await relay.step()
        world.clock.advance(LEASE / 6)
    assert handover.account.relay != old
