"""Piece by piece, and yet one batch: durable when it has settled, and nothing writes on after it has failed (I1)."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

import pytest

from processor.core.evidence import Append
from processor.core.matching import Matched
from processor.core.records import StatementRecord
from processor.errors import StoreUnavailable
from processor.services.landing import TURNS, Landing, joined
from tests.builders import WAYPOINTS, a_statement_record, an_append, an_item
from tests.unit.services.world import STORE_AWAY, World


class SlowStore:
    """Evidence that lands when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[Append], int]] = []
        self.landed = 0
        self.lands = asyncio.Event()
        self.errors: list[Exception] = []

    async def append(self, appends: Sequence[Append], statements: Sequence[StatementRecord], now: datetime) -> int:
        self.asked.append((list(appends), len(statements)))
        await self.lands.wait()
        if self.errors:
            raise self.errors.pop()
        self.landed += len(appends)
        return len(appends)


def a_piece(*appends: Append, kept: int = 0) -> Matched:
    return Matched(appends=list(appends), kept=[a_statement_record(number) for number in range(kept)])


async def test_pieces_are_written_beside_each_other_and_settled_together() -> None:
    store = SlowStore()
    async with Landing(store, World().clock, asyncio.Event()) as landing:
        await landing.take(a_piece(an_append(an_item(1)), kept=2))
        await landing.take(a_piece())
        await landing.take(a_piece(an_append(an_item(2), owner="ben")))
        settling = asyncio.create_task(landing.settle())
        await asyncio.sleep(0)
        is_settled = settling.done()
        store.lands.set()
        assert not is_settled
        await settling
    assert store.landed == 2
    assert [kept for _, kept in store.asked] == [2, 0]


async def test_a_document_that_is_being_written_gets_all_the_rest_in_one_write_afterwards() -> None:
    store = SlowStore()
    store.lands.set()
    async with Landing(store, World().clock, asyncio.Event()) as landing:
        await landing.take(a_piece(an_append(an_item(1)), kept=1))
        await landing.take(a_piece(an_append(an_item(2)), an_append(an_item(9), owner="ben"), kept=2))
        await landing.take(
            a_piece(an_append(an_item(2), an_item(3)), an_append(an_item(4), waypoint=WAYPOINTS[1]), kept=3)
        )
        await landing.settle()
    assert store.landed == 3
    *pieces, (last, _) = store.asked
    assert [(len(appends), kept) for appends, kept in pieces] == [(1, 1), (1, 2), (0, 3)]
    [append] = last
    assert append.items == {WAYPOINTS[0]: (an_item(2), an_item(3)), WAYPOINTS[1]: (an_item(4),)}


async def test_a_write_takes_enough_documents_or_what_is_left() -> None:
    store = SlowStore()
    store.lands.set()
    async with Landing(store, World().clock, asyncio.Event(), least=3) as landing:
        await landing.take(a_piece(an_append(an_item(1)), kept=1))
        assert store.asked == []
        await landing.take(a_piece(an_append(an_item(2)), an_append(an_item(9), owner="ben")))
        await landing.take(a_piece(an_append(an_item(3), owner="eve")))
        await landing.settle()
    assert store.landed == 3
    (first, kept), (last, _) = store.asked
    assert kept == 1, "with the evidence that refers to it"
    assert [append.items[WAYPOINTS[0]] for append in first] == [(an_item(1), an_item(2)), (an_item(9),)]
    assert [append.items[WAYPOINTS[0]] for append in last] == [(an_item(3),)]


async def test_bare_statements_are_enough_for_a_write() -> None:
    store = SlowStore()
    store.lands.set()
    async with Landing(store, World().clock, asyncio.Event(), least=2) as landing:
        await landing.take(a_piece(kept=2))
        assert store.asked == [([], 2)]
        await landing.settle()


async def test_i1_a_piece_that_fails_fails_the_batch_when_the_others_have_ended() -> None:
    """What was inserted has events that are handed to the relay only then."""
    store = SlowStore()
    store.errors = [STORE_AWAY]

    async def land() -> None:
        async with Landing(store, World().clock, asyncio.Event()) as landing:
            await landing.take(a_piece(an_append(an_item(1))))
            await landing.take(a_piece(an_append(an_item(2), owner="ben")))
            await landing.settle()

    landing = asyncio.create_task(land())
    await asyncio.sleep(0)
    store.lands.set()
    with pytest.raises(StoreUnavailable):
        await landing
    assert store.landed == 1


async def test_i1_who_fails_between_two_pieces_waits_until_what_is_under_way_has_landed() -> None:
    """Else it would write on beside the same records, which come again."""
    store = SlowStore()

    async def land() -> None:
        async with Landing(store, World().clock, asyncio.Event()) as landing:
            await landing.take(a_piece(an_append(an_item(1))))
            raise STORE_AWAY

    landing = asyncio.create_task(land())
    for _ in range(3 * TURNS):
        await asyncio.sleep(0)
    assert len(store.asked) == 1
    assert not landing.done()
    store.lands.set()
    with pytest.raises(StoreUnavailable):
        await landing
    assert store.landed == 1


async def test_who_is_cancelled_leaves_nothing_behind_that_writes() -> None:
    store = SlowStore()

    async def land() -> None:
        async with Landing(store, World().clock, asyncio.Event()) as landing:
            await landing.take(a_piece(an_append(an_item(1))))
            await landing.settle()

    landing = asyncio.create_task(land())
    for _ in range(3):
        await asyncio.sleep(0)
    landing.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):
            await landing
    store.lands.set()
    await asyncio.sleep(0)
    assert (len(store.asked), store.landed) == (1, 0)


def test_joining_keeps_each_item_once_and_in_order() -> None:
    one, other = an_append(an_item(2), an_item(1)), an_append(an_item(1), an_item(3))
    assert joined([one]) == [one]
    assert [append.items[WAYPOINTS[0]] for append in joined([one, other])] == [(an_item(2), an_item(1), an_item(3))]
