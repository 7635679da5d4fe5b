"""One contract for `ports.ProgressStore`: outboxes and relays (R1, R2)."""

from processor.clock import SystemClock
from processor.metrics import Metrics
from processor.services.handover import Handover
from processor.services.relay import Relay
from processor.services.surroundings import Leasing, Surroundings
from processor.testing.broker import MemoryBroker, MemoryEventSink
from tests.builders import at
from tests.contract.stores import Both


async def test_r1_events_stay_until_they_are_forgotten(both: Both) -> None:
    key = await both.promoted(1)
    first = await both.store.claim_events("relay", at(10), at(70), 10)
    assert not (await both.other.claim_events("other", at(11), at(71), 10)).outboxes  # leased
    again = await both.other.claim_events("other", at(71), at(131), 10)
    assert again.outboxes == first.outboxes
    await both.store.forget([(first, {key: 1})])  # too late: the lease is another's
    assert len((await both.only())["processing"]["outbox"]) == 1
    await both.other.forget([(again, {key: 1})])
    assert (await both.only())["processing"]["outbox"] == []
    assert not (await both.store.claim_events("third", at(999), at(1059), 10)).outboxes


async def test_r2_a_later_revision_is_not_forgotten_and_comes_next(both: Both) -> None:
    key = await both.promoted(1)
    claim = await both.store.claim_events("relay", at(10), at(70), 10)
    await both.promoted(2)
    await both.store.forget([(claim, {key: 1})])
    [event] = (await both.store.claim_events("next", at(30), at(90), 10)).outboxes[key]
    assert event.revision == 2


async def test_r2_events_of_a_document_come_in_revision_order(both: Both) -> None:
    for number in (1, 2, 3):
        key = await both.promoted(number)
    claim = await both.store.claim_events("relay", at(40), at(100), 10)
    assert [event.revision for event in claim.outboxes[key]] == [1, 2, 3]


async def test_what_was_not_published_is_claimed_again_after_the_lease(both: Both) -> None:
    key = await both.promoted(1)
    claim = await both.store.claim_events("relay", at(10), at(70), 10)
    await both.store.forget([(claim, {})])
    assert not (await both.store.claim_events("soon", at(69), at(129), 10)).outboxes
    assert key in (await both.store.claim_events("late", at(71), at(131), 10)).outboxes


async def test_r1_events_that_were_claimed_but_not_published_are_claimed_next(both: Both) -> None:
    """The broker took the first and not the second; nothing else would ever wake a relay for it."""
    await both.promoted(1)
    key = await both.promoted(2)
    claim = await both.store.claim_events("relay", at(10), at(70), 10)
    await both.store.forget([(claim, {key: 1})])
    assert (await both.store.backlog(at(11))).outbox == 1
    [event] = (await both.other.claim_events("next", at(12), at(72), 10)).outboxes[key]
    assert event.revision == 2


async def test_a_mark_whose_events_an_earlier_claim_took_along_goes_and_the_lease_with_it(both: Both) -> None:
    """A promotion landed after the claim had cleared the mark and before it read the outbox."""
    key = await both.promoted(1)
    claim = await both.store.claim_events("relay", at(10), at(70), 10)
    await both.promoted(2)
    await both.store.forget([(claim, {key: 2})])
    empty = await both.other.claim_events("next", at(30), at(90), 10)
    assert dict(empty.outboxes) == {key: ()}
    await both.other.forget([(empty, {key: 0})])
    await both.promoted(3)  # has not to wait for a lease
    [event] = (await both.store.claim_events("third", at(31), at(91), 10)).outboxes[key]
    assert event.revision == 3


async def test_the_longest_waiting_outbox_is_claimed_first(both: Both) -> None:
    first = await both.promoted(1, owner="a")
    await both.promoted(2, owner="b")
    await both.promoted(3, owner="a")  # a newer event must not send it to the end
    assert (await both.store.backlog(at(9))).oldest_outbox == at(3)
    assert list((await both.store.claim_events("relay", at(10), at(70), 1)).outboxes) == [first]


async def test_two_relays_never_hold_the_same_outbox(both: Both) -> None:
    owners = [f"o{number}" for number in range(9)]
    keys = {await both.promoted(1, owner=owner) for owner in owners}
    one = await both.store.claim_events("one", at(10), at(70), 4)
    two = await both.other.claim_events("two", at(10), at(70), 9)
    assert len(one.outboxes) == 4
    assert set(one.outboxes) | set(two.outboxes) == keys
    assert not set(one.outboxes) & set(two.outboxes)


async def test_a_promoter_and_a_relay_do_not_lock_each_other_out(both: Both) -> None:
    key = await both.promoted(1)
    relaying = await both.store.claim_events("relay", at(10), at(70), 10)
    await both.promoted(11)
    await both.store.forget([(relaying, {key: 1})])
    assert "relayLease" not in (await both.only())["processing"]


async def test_an_outbox_that_was_emptied_by_an_earlier_claim_is_given_back(both: Both) -> None:
    """A promotion lands between a claim's two halves: its event is read and goes, the mark it set stays."""
    key = await both.promoted(1)
    claim = await both.store.claim_events("relay", at(10), at(70), 10)
    await both.promoted(2)
    await both.store.forget([(claim, {key: 2})])
    assert (await both.store.backlog(at(20))).outbox == 1
    relay = Relay(
        both.store,
        MemoryEventSink(MemoryBroker(), "progress"),
        Surroundings(SystemClock(), Metrics()),
        Leasing(),
        Handover(Leasing()),
    )
    assert await relay.step() == 1
    assert (await both.store.backlog(at(20))).outbox == 0
    assert await relay.step() == 0
