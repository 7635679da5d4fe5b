"""One contract for `ports.ProgressStore`: what waits, and what a changed journey wakes."""

from bson import ObjectId

from processor.store.progress import CHUNK
from tests.builders import JOURNEY, a_promotion, an_append, at
from tests.contract.stores import Both


async def test_mark_due_wakes_what_waits_and_what_is_older(both: Both) -> None:
    await both.promoted(1)
    assert await both.store.mark_due({JOURNEY: 1}, at(20)) == 0
    assert await both.store.mark_due({JOURNEY: 2}, at(20)) == 1
    assert await both.store.mark_due({JOURNEY: 2}, at(21)) == 0  # marked already
    assert (await both.only())["processing"]["due"] == at(20)


async def test_mark_due_wakes_what_waits_whatever_its_version(both: Both) -> None:
    await both.append(an_append())
    claim = await both.store.claim("key", at(1), at(61), 10)
    waiting = a_promotion(claim.documents[0], has_event=False, processing={"waiting": True})
    await both.store.apply(claim, [waiting], at(2))
    assert (await both.store.backlog(at(3))).waiting == 1
    assert await both.store.mark_due({ObjectId(): 1}, at(3)) == 0
    assert await both.store.mark_due({JOURNEY: 1}, at(3)) == 1
    assert len((await both.store.claim("woken", at(4), at(64), 10)).documents) == 1


async def test_p3_mark_due_wakes_what_a_promoter_has_in_hand(both: Both) -> None:
    """It may have been decided under the older version, and lands after the waking."""
    await both.append(an_append())
    claim = await both.store.claim("key", at(1), at(61), 10)
    assert await both.other.mark_due({JOURNEY: 2}, at(2)) == 1
    older = a_promotion(claim.documents[0], has_event=False, processing={"waiting": True})
    assert (await both.store.apply(claim, [older], at(3))).landed == 1
    assert len((await both.other.claim("again", at(4), at(64), 10)).documents) == 1


async def test_mark_due_reaches_all_of_many_documents(both: Both) -> None:
    number = 2 * CHUNK + 1
    await both.append(*(an_append(owner=f"o{number}") for number in range(number)))
    claim = await both.store.claim("key", at(1), at(61), number)
    await both.store.apply(claim, [a_promotion(it, has_event=False) for it in claim.documents], at(2))
    assert await both.store.mark_due({JOURNEY: 2}, at(3)) == number
    assert (await both.store.backlog(at(4))).due == number


async def test_backlog_counts_what_waits(both: Both) -> None:
    await both.store.append([an_append(owner=name) for name in "abc"], [], at(0))
    await both.store.claim("key", at(1), at(61), 1)
    backlog = await both.store.backlog(at(62))
    assert (backlog.due, backlog.claimed, backlog.expired, backlog.oldest_due) == (2, 1, 1, at(0))
    await both.store.claim("rest", at(62), at(122), 10)
    await both.promoted(1, owner="d")
    after = await both.store.backlog(at(63))
    assert (after.due, after.outbox) == (0, 1)


async def test_backlog_counts_a_document_once_that_a_relay_holds_and_a_promoter_adds_to(both: Both) -> None:
    await both.promoted(1)
    await both.store.claim_events("relay", at(10), at(70), 10)
    await both.promoted(11)
    assert (await both.store.backlog(at(20))).outbox == 1
