"""The store in memory can stop anywhere that MongoDB could: before and after each durable effect."""

from collections.abc import Awaitable, Callable

import pytest

from processor.errors import StoreUnavailable
from processor.testing.database import MemoryDatabase
from processor.testing.journeys import MemoryJourneyCatalog
from processor.testing.store import MemoryProgressStore
from tests.builders import JOURNEY, a_promotion, a_statement_record, an_append, an_item, at

NAMES = ("a", "b", "c")
Step = Callable[[MemoryProgressStore], Awaitable[object]]


class Outage:
    """Raises at the n-th announcement of an effect, once."""

    def __init__(self, effect: str, number: int = 1) -> None:
        self._effect = effect
        self._left = number

    def __call__(self, effect: str) -> None:
        self._left -= effect == self._effect
        if self._left == 0 and effect == self._effect:
            raise StoreUnavailable(f"the outage that the test wants at {effect}")


async def append_all(store: MemoryProgressStore) -> None:
    await store.append([an_append(an_item(1), owner=name) for name in NAMES], [a_statement_record(1)], at(0))


async def documents(database: MemoryDatabase) -> int:
    return (await MemoryProgressStore(database).backlog(at(0))).documents


@pytest.mark.parametrize(
    ("outage", "statements", "progresses"),
    [
        (Outage("append.statement.before"), 0, 0),
        (Outage("append.statement.after"), 1, 0),
        (Outage("append.progress.before"), 1, 0),
        (Outage("append.progress.after"), 1, 1),
        (Outage("append.progress.before", 3), 1, 2),
    ],
    ids=["nothing", "statement", "no evidence", "first of three", "two of three"],
)
async def test_an_append_can_stop_between_any_two_effects_and_be_repeated(
    outage: Outage, statements: int, progresses: int
) -> None:
    database = MemoryDatabase()
    with pytest.raises(StoreUnavailable):
        await append_all(MemoryProgressStore(database, outage))
    assert (len(database.statements), await documents(database)) == (statements, progresses)
    await append_all(MemoryProgressStore(database))
    assert (len(database.statements), await documents(database)) == (1, 3)


async def test_a_claim_that_stops_half_way_leaves_what_it_took_to_the_lease() -> None:
    database = MemoryDatabase()
    store = MemoryProgressStore(database)
    await append_all(store)
    with pytest.raises(StoreUnavailable):
        await MemoryProgressStore(database, Outage("claim.after", 2)).claim("lost", at(1), at(61), 10)
    assert len((await store.claim("next", at(2), at(62), 10)).documents) == 1
    assert len((await store.claim("later", at(62), at(122), 10)).documents) == 2


@pytest.mark.parametrize(("effect", "landed"), [("apply.before", 1), ("apply.after", 2)])
async def test_trap_3_an_apply_that_stops_half_way_and_is_repeated_fills_each_outbox_once(
    effect: str, landed: int
) -> None:
    database = MemoryDatabase()
    store = MemoryProgressStore(database)
    await append_all(store)
    claim = await store.claim("key", at(1), at(61), 10)
    promotions = [a_promotion(document, an_item(1)) for document in claim.documents]
    with pytest.raises(StoreUnavailable):
        await MemoryProgressStore(database, Outage(effect, 2)).apply(claim, promotions, at(2))
    assert (await store.backlog(at(2))).outbox == landed
    assert (await store.apply(claim, promotions, at(3))).fenced == landed
    outboxes = (await store.claim_events("relay", at(4), at(64), 10)).outboxes
    assert [len(events) for events in outboxes.values()] == [1, 1, 1]


@pytest.mark.parametrize(
    ("effect", "step"),
    [
        ("claim_events.before", lambda store: store.claim_events("relay", at(4), at(64), 10)),
        ("claim_events.after", lambda store: store.claim_events("relay", at(4), at(64), 10)),
        ("mark_due.before", lambda store: store.mark_due({JOURNEY: 2}, at(4))),
        ("mark_due.after", lambda store: store.mark_due({JOURNEY: 2}, at(4))),
    ],
)
async def test_the_other_effects_announce_themselves_too(effect: str, step: Step) -> None:
    database = MemoryDatabase()
    await promoted(database)
    with pytest.raises(StoreUnavailable, match=effect):
        await step(MemoryProgressStore(database, Outage(effect)))


@pytest.mark.parametrize(("effect", "left"), [("forget.before", 1), ("forget.after", 0)])
async def test_a_forget_that_fails_may_have_been_done(effect: str, left: int) -> None:
    database = MemoryDatabase()
    store = await promoted(database)
    claim = await store.claim_events("relay", at(4), at(64), 10)
    with pytest.raises(StoreUnavailable):
        await MemoryProgressStore(database, Outage(effect)).forget([(claim, dict.fromkeys(claim.outboxes, 1))])
    assert (await store.backlog(at(5))).outbox == left


async def test_the_journeys_can_be_unavailable() -> None:
    with pytest.raises(StoreUnavailable):
        await MemoryJourneyCatalog(MemoryDatabase(), Outage("journeys.load.before")).load()


async def test_what_a_claim_hands_out_is_a_copy() -> None:
    database = MemoryDatabase()
    store = MemoryProgressStore(database)
    await append_all(store)
    claim = await store.claim("key", at(1), at(61), 1)
    for entry in claim.documents[0]["pendingProgress"].values():
        entry["statements"].clear()
    [again] = [document async for document in store.find(identity=claim.documents[0]["_id"])]
    assert all(entry["statements"] for entry in again["pendingProgress"].values())


async def promoted(database: MemoryDatabase) -> MemoryProgressStore:
    store = MemoryProgressStore(database)
    await store.append([an_append(an_item(1))], [], at(0))
    claim = await store.claim("key", at(1), at(61), 10)
    await store.apply(claim, [a_promotion(claim.documents[0], an_item(1))], at(2))
    return store
