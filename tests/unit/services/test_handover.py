"""What is lent to those who fill outboxes, what they hand over, and what becomes of each number of the account."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import pytest
from bson import ObjectId

from processor.core.evidence import ProgressEvent
from processor.core.relaying import HANDY, Account
from processor.ports.progress import RelayLease
from processor.services.handover import LONG, Handover
from processor.services.surroundings import Leasing
from tests.builders import at

LEASE = 60
ONE, TWO = ObjectId(), ObjectId()
Outboxes = Mapping[ObjectId, tuple[ProgressEvent, ...]]


class Crash(Exception):
    """The write fails."""


def a_handover(room: int = 8, until: float | None = 90) -> Handover:
    """One whose relay holds a lease until then."""
    handover = Handover(Leasing(timedelta(seconds=LEASE)), room)
    if until is not None:
        handover.is_held(at(until))
    return handover


def an_outbox(progress: ObjectId = ONE, *sizes: int) -> Outboxes:
    events = [ProgressEvent(progress, number, at(0), b"x" * size) for number, size in enumerate(sizes or (1,), 1)]
    return {progress: tuple(events)}


def given(handover: Handover, outboxes: Outboxes) -> RelayLease:
    """Lend a lease to a write that succeeds, and hand over what it filled."""
    with handover.lease(at(0)) as lease:
        assert lease
        handover.give(lease, outboxes)
    return lease


def is_lent(handover: Handover, seconds: float) -> bool:
    with handover.lease(at(seconds)) as lease:
        return lease is not None


def test_nothing_is_lent_before_the_relay_holds_a_lease() -> None:
    handover = a_handover(until=None)
    assert handover.until is None
    assert not is_lent(handover, 0)
    assert handover.account.last == 0


@pytest.mark.parametrize(("seconds", "lent"), [(0, True), (45, True), (45.001, False), (90, False), (500, False)])
def test_nothing_is_lent_when_less_than_three_quarters_of_a_lease_are_left(seconds: float, lent: bool) -> None:
    assert is_lent(a_handover(until=90), seconds) is lent


def test_nothing_is_lent_without_room() -> None:
    handover = a_handover(room=0)
    assert not handover.is_open
    assert not is_lent(handover, 0)


def test_nothing_is_lent_while_the_relay_is_behind() -> None:
    handover = a_handover(room=2)
    assert handover.is_open
    given(handover, an_outbox(ONE))
    assert is_lent(handover, 0)
    given(handover, an_outbox(TWO))
    assert handover.waits
    assert not is_lent(handover, 0)
    assert [list(claim.outboxes) for claim in handover.take()] == [[ONE], [TWO]]
    assert is_lent(handover, 0)


def test_each_lease_has_a_fresh_number_and_the_end_of_the_relays() -> None:
    handover = a_handover(until=90)
    first, second = given(handover, an_outbox()), given(handover, an_outbox())
    assert (first.number, second.number) == (1, 2)
    assert first.relay == second.relay == handover.account.relay
    handover.is_held(at(120))
    assert given(handover, an_outbox()).until == at(120)
    assert [claim.until for claim in handover.take()] == [at(90), at(90), at(120)]


def test_r1_a_number_is_open_while_its_write_is_under_way_and_until_it_is_published() -> None:
    handover = a_handover()
    with handover.lease(at(0)) as lease:
        assert lease
        assert handover.account == Account(lease.relay, 1, open=frozenset({1}))
        handover.give(lease, an_outbox())
    assert handover.account.open == {1}
    [claim] = handover.take()
    assert (claim.number, claim.outboxes) == (1, an_outbox())
    assert not handover.account.is_published(1)
    handover.published(1)
    assert handover.account == Account(lease.relay, 1)


def test_r1_what_was_given_and_not_published_is_left() -> None:
    handover = a_handover()
    lease = given(handover, an_outbox())
    handover.left(1)
    assert handover.account == Account(lease.relay, 1, left=frozenset({1}))


def test_a_number_under_which_nothing_was_given_needs_no_publication() -> None:
    handover = a_handover()
    assert is_lent(handover, 0)
    assert handover.account.is_published(1)
    lease = given(handover, {})
    assert handover.account.is_published(lease.number)
    assert not handover.waits


def test_r1_what_a_failed_write_has_done_nobody_knows_and_it_is_left() -> None:
    handover = a_handover()
    with pytest.raises(Crash), handover.lease(at(0)):
        raise Crash
    assert handover.account == Account(handover.account.relay, 1, left=frozenset({1}))
    assert not handover.waits


async def test_r1_what_a_cancelled_write_has_done_is_left() -> None:
    handover, under_way = a_handover(), asyncio.Event()

    async def write() -> None:
        with handover.lease(at(0)) as lease:
            under_way.set()
            await asyncio.sleep(60)
            handover.give(lease, an_outbox())

    task = asyncio.create_task(write())
    await under_way.wait()
    assert handover.account.open == {1}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert handover.account == Account(handover.account.relay, 1, left=frozenset({1}))


def test_r1_writes_at_once_are_accounted_for_each_by_itself() -> None:
    handover = a_handover()
    with handover.lease(at(0)) as first, handover.lease(at(0)) as second:
        assert first
        assert second
        assert handover.account.open == {1, 2}
        handover.give(second, an_outbox())
    assert handover.account == Account(second.relay, 2, open=frozenset({2}))
    assert handover.account.is_published(1)


def test_what_is_not_handy_is_passed_over_and_wakes_the_relay_all_the_same() -> None:
    """The store has marked it for any relay."""
    handover = a_handover()
    given(handover, {**an_outbox(ONE, HANDY + 1), **an_outbox(TWO, HANDY)})
    [claim] = handover.take()
    assert list(claim.outboxes) == [TWO]
    handover.given.clear()
    lease = given(handover, an_outbox(ONE, HANDY + 1))
    assert handover.account.is_published(lease.number)
    assert (handover.waits, handover.given.is_set()) == (False, True)


def test_an_outbox_with_one_event_that_is_not_handy_is_passed_over() -> None:
    handover = a_handover()
    given(handover, an_outbox(ONE, 1, HANDY + 1))
    assert not handover.waits


def test_who_had_no_lease_hands_nothing_over_and_wakes_the_relay() -> None:
    handover = a_handover(until=None)
    with handover.lease(at(0)) as lease:
        handover.give(lease, an_outbox())
    assert (handover.waits, handover.given.is_set()) == (False, True)


def test_r2_what_is_given_back_comes_first_again() -> None:
    handover = a_handover()
    for _ in range(2):
        given(handover, an_outbox())
    taken = handover.take()
    given(handover, an_outbox())
    handover.give_back(taken)
    assert [claim.number for claim in handover.take()] == [1, 2, 3]
    assert handover.account.open == {1, 2, 3}


def test_r1_who_closes_leaves_what_is_open() -> None:
    handover = a_handover()
    given(handover, an_outbox())
    handover.published(1)
    given(handover, an_outbox())
    handover.left(2)
    lease = given(handover, an_outbox())
    handover.take()
    assert handover.close() == handover.account == Account(lease.relay, 3, left=frozenset({2, 3}))
    assert (handover.waits, handover.until) == (False, None)
    assert not is_lent(handover, 0)


def test_r1_a_write_that_is_under_way_at_the_closing_is_left_however_it_ends() -> None:
    handover = a_handover()
    with handover.lease(at(0)), handover.lease(at(0)) as second:
        assert handover.close().left == {1, 2}
        handover.give(second, an_outbox())
    assert handover.account.left == {1, 2}
    handover.published(2)  # too late: others were told to publish it
    assert handover.account.left == {1, 2}


def test_who_begins_anew_is_another_relay_whose_numbers_go_on() -> None:
    handover = a_handover()
    before = given(handover, an_outbox())
    handover.left(1)
    handover.begin_anew()
    assert handover.account == Account(handover.account.relay, 1)
    assert handover.account.relay != before.relay
    assert not is_lent(handover, 0)  # before it holds a lease of its own
    handover.is_held(at(90))
    assert given(handover, an_outbox()) == RelayLease(handover.account.relay, 2, at(90))


def test_nothing_is_lent_any_more_when_much_is_left() -> None:
    handover = a_handover()
    for number in range(1, LONG + 1):
        assert not handover.is_long
        given(handover, {})
        handover.left(number)
    assert handover.is_long
    assert not is_lent(handover, 0)


@pytest.mark.parametrize(
    ("is_lent", "outboxes", "is_all", "is_marked"),
    [
        (True, an_outbox(), True, False),
        (True, an_outbox(), False, True),
        (True, an_outbox(ONE, HANDY + 1), True, True),
        (False, an_outbox(), True, True),
        (False, {}, True, False),
    ],
    ids=["handed over", "one was not idle", "too large", "nothing lent", "nothing"],
)
def test_what_waits_by_its_mark_is_to_be_looked_for_soon(
    is_lent: bool, outboxes: Outboxes, is_all: bool, is_marked: bool
) -> None:
    handover = a_handover()
    with handover.lease(at(0)) as lease:
        handover.give(lease if is_lent else None, outboxes, is_all=is_all)
    assert handover.is_marked is is_marked
