"""One contract for `ports.ProgressStore`: however a store looks for what waits, it passes nothing over for good."""

from datetime import timedelta

import pytest
from bson.datetime_ms import DatetimeMS
from msgspec.structs import replace

from processor.ports.progress import OutboxClaim, ProgressStore
from processor.store.connect import PROGRESSES, Database
from processor.store.progress import MongoProgressStore
from processor.store.queues import BETWEEN, DEEPER, SLACK, START
from tests.builders import JOURNEY, a_promotion, an_append, an_item, at
from tests.contract.stores import Both

LEASE = 60


async def claimed(store: ProgressStore, key: str, second: float, limit: int = 10) -> int:
    """Look once; return how many documents were claimed."""
    return len((await store.claim(key, at(second), at(second + LEASE), limit)).documents)


async def claimed_events(store: ProgressStore, key: str, second: float) -> OutboxClaim:
    return await store.claim_events(key, at(second), at(second + LEASE), 10)


async def test_p3_what_became_due_in_a_promoters_hands_is_found_when_it_is_let_go_of(both: Both) -> None:
    """Looks in the meantime have gone past its mark."""
    await both.append(an_append(an_item(1)), at_second=0)
    held = await both.store.claim("held", at(1), at(1 + LEASE), 10)
    await both.append(an_append(an_item(2)), at_second=2)
    for second in range(3, 40):
        assert await claimed(both.other, f"none-{second}", second) == 0
    await both.store.apply(held, [a_promotion(held.documents[0], an_item(1))], at(40))
    assert await claimed(both.other, "again", 41) == 1


async def test_what_is_free_is_found_behind_what_is_held(both: Both) -> None:
    """As many as a look takes at once are due again in another's hands, and were due first."""
    owners = "abc"
    await both.append(*(an_append(owner=owner) for owner in owners), at_second=0)
    assert await claimed(both.store, "held", 1) == 3
    await both.append(*(an_append(an_item(2), owner=owner) for owner in owners), at_second=2)
    await both.append(an_append(owner="d"), an_append(owner="e"), at_second=3)
    assert await claimed(both.other, "free", 4, limit=2) == 2
    assert await claimed(both.other, "none", 5, limit=2) == 0


async def test_more_than_a_look_takes_at_once_is_found_by_the_next_ones(both: Both) -> None:
    for second, owner in enumerate("abcde"):
        await both.append(an_append(owner=owner), at_second=second)
    assert [await claimed(both.store, f"key-{number}", 10 + number, limit=2) for number in range(4)] == [2, 2, 1, 0]


async def test_i1_an_append_that_took_long_is_found_by_the_next_look_of_its_process(both: Both) -> None:
    await both.append(an_append(owner="first"), at_second=0)
    assert await claimed(both.store, "one", 100) == 1
    await both.append(an_append(owner="late"), at_second=1)
    assert await claimed(both.store, "two", 100.5) == 1


async def test_i1_what_another_process_marked_late_is_found_at_once_soon_or_within_ten_seconds(both: Both) -> None:
    lateness = {"bit": SLACK, "deeper": DEEPER, "far": timedelta(seconds=2 * LEASE)}
    looks = {"bit": 100.0, "deeper": 100 + BETWEEN.total_seconds(), "far": 100 + START.total_seconds()}
    assert await claimed(both.store, "none", 100) == 0
    for owner, late in lateness.items():
        await both.other.append([an_append(owner=owner)], [], at(looks[owner]) - late)
        assert await claimed(both.store, owner, looks[owner]) == 1


async def test_p1_a_lease_that_runs_out_is_found_then_whoever_looked_before(both: Both) -> None:
    await both.append(an_append(), at_second=0)
    await both.store.claim("lost", at(5), at(5 + LEASE), 10)
    for second in range(6, 6 + LEASE, 3):
        assert await claimed(both.other, f"none-{second}", second) == 0
    assert await claimed(both.other, "taken", 5.1 + LEASE) == 1


async def test_p1_more_leases_than_a_look_takes_at_once_are_found_by_the_next_ones(both: Both) -> None:
    await both.append(*(an_append(owner=owner) for owner in "abcde"), at_second=0)
    assert await claimed(both.store, "lost", 1) == 5
    assert await claimed(both.other, "none", 2) == 0
    assert await claimed(both.other, "none", 60.9) == 0
    seconds = (61.1, 61.2, 61.3, 61.4)
    assert [await claimed(both.other, f"key-{second}", second, limit=2) for second in seconds] == [2, 2, 1, 0]


async def test_p1_leases_that_ran_out_come_first_however_many_are_due(both: Both) -> None:
    """Else what a dead worker held would wait for all that comes, for as long as promoters are behind."""
    await both.append(an_append(owner="lost"), at_second=0)
    assert await claimed(both.store, "lost", 1) == 1
    await both.append(*(an_append(owner=owner) for owner in "abcdefgh"), at_second=2)
    claim = await both.other.claim("next", at(62), at(62 + LEASE), 4)
    assert an_append(owner="lost").progress in {document["_id"] for document in claim.documents}
    assert claim.has_more


async def test_p3_what_fails_again_and_again_holds_up_nothing_that_is_due(both: Both) -> None:
    """As many as a claim takes, or more, are claimed again each time that their lease runs out."""
    await both.append(*(an_append(owner=f"broken {number}") for number in range(6)), at_second=0)
    assert await claimed(both.store, "broken", 1, limit=6) == 6
    await both.append(*(an_append(owner=owner) for owner in "ab"), at_second=2)
    claim = await both.other.claim("next", at(62), at(62 + LEASE), 4)
    assert {an_append(owner=owner).progress for owner in "ab"} < {document["_id"] for document in claim.documents}
    assert (len(claim.documents), claim.has_more) == (4, True)


async def test_r1_events_that_were_claimed_and_not_published_are_found_again_at_once(both: Both) -> None:
    """Their mark tells since when they wait; looks have gone past that."""
    await both.promoted(1)
    await both.promoted(11)
    claim = await claimed_events(both.store, "partly", 100)
    [(progress, events)] = claim.outboxes.items()
    assert [event.revision for event in events] == [1, 2]
    assert not (await claimed_events(both.store, "none", 101)).outboxes
    await both.store.forget([(claim, {progress: 1})])
    left = (await claimed_events(both.store, "again", 101.1)).outboxes
    assert [event.revision for event in left[progress]] == [2]


async def test_r1_what_a_promotion_adds_to_a_held_outbox_is_found_when_it_is_let_go_of(both: Both) -> None:
    progress = await both.promoted(1)
    claim = await claimed_events(both.store, "relay", 10)
    await both.promoted(11)
    for second in range(20, 40):
        assert not (await claimed_events(both.other, f"none-{second}", second)).outboxes
    await both.store.forget([(claim, {progress: 1})])
    assert [event.revision for event in (await claimed_events(both.other, "again", 40)).outboxes[progress]] == [2]


async def test_r1_a_promotion_that_took_long_is_found_by_the_next_look_of_its_process(both: Both) -> None:
    assert not (await claimed_events(both.store, "none", 100)).outboxes
    progress = await both.promoted(1)
    assert list((await claimed_events(both.store, "late", 100.1)).outboxes) == [progress]


async def test_p3_what_a_promotion_left_pending_is_found_by_the_next_look_of_its_process(both: Both) -> None:
    await both.append(an_append(an_item(1), an_item(2)), at_second=0)
    claim = await both.store.claim("slow", at(1), at(1 + LEASE), 10)
    assert await claimed(both.store, "none", 50) == 0
    partial = replace(a_promotion(claim.documents[0], an_item(1)), is_partial=True)
    assert (await both.store.apply(claim, [partial], at(2))).landed == 1
    assert await claimed(both.store, "rest", 50.1) == 1


async def test_what_a_changed_journey_woke_is_found_by_the_next_look_of_its_process(both: Both) -> None:
    await both.promoted(1)
    assert await claimed(both.store, "none", 50) == 0
    assert await both.store.mark_due({JOURNEY: 2}, at(2)) == 1
    assert await claimed(both.store, "woken", 50.1) == 1


BEYOND = DatetimeMS(8_640_000_000_000_000)
"""An instant that MongoDB holds, and Python does not."""


@pytest.mark.parametrize("by_hand", [None, 7, "for ever", False, BEYOND])
async def test_p1_a_lease_that_somebody_put_there_hides_none_that_runs_out(
    by_hand: object, mongo_database: Database
) -> None:
    store, other = MongoProgressStore(mongo_database), MongoProgressStore(mongo_database)
    await store.append([an_append(owner="odd")], [], at(0))
    assert await claimed(store, "odd", 1) == 1
    await mongo_database[PROGRESSES].update_one({}, {"$set": {"processing.lease": by_hand}})
    assert await claimed(other, "none", 2) == 0
    await store.append([an_append(owner="lost")], [], at(3))
    assert await claimed(store, "lost", 4) == 1
    assert (await store.backlog(at(5))).oldest_lease == at(64)
    assert await claimed(other, "taken", 65) == 1


async def test_p1_leases_that_somebody_put_in_a_list_hide_none_that_runs_out(mongo_database: Database) -> None:
    store, other = MongoProgressStore(mongo_database), MongoProgressStore(mongo_database)
    await store.append([an_append(owner=owner) for owner in ("odd", "lost")], [], at(0))
    assert await claimed(store, "lost", 4) == 2
    odd = {"_id": an_append(owner="odd").progress}
    await mongo_database[PROGRESSES].update_one(odd, {"$set": {"processing.lease": [at(0), at(500)]}})
    assert await claimed(other, "taken", 65) == 2


@pytest.mark.parametrize("by_hand", ["now", BEYOND])
async def test_marks_that_somebody_put_there_hold_up_none_behind_them(
    by_hand: object, mongo_database: Database
) -> None:
    store = MongoProgressStore(mongo_database)
    await store.append([an_append(owner=owner) for owner in "abcde"], [], at(0))
    odd = {"_id": {"$in": [an_append(owner=owner).progress for owner in "abcd"]}}
    await mongo_database[PROGRESSES].update_many(odd, {"$set": {"processing.due": by_hand}})
    assert (await store.backlog(at(5))).oldest_due == at(0)
    assert [await claimed(store, f"key-{number}", 100 + number, limit=2) for number in range(4)] == [2, 2, 1, 0]


async def test_a_claim_tells_whether_there_may_be_more(both: Both) -> None:
    await both.append(*(an_append(owner=owner) for owner in "abc"))
    claims = [await both.store.claim(f"key-{number}", at(1), at(61), 2) for number in range(2)]
    assert [claim.has_more for claim in claims] == [True, False]


async def test_a_relays_lease_that_somebody_put_there_stops_no_promoter(mongo_database: Database) -> None:
    store = MongoProgressStore(mongo_database)
    await store.append([an_append()], [], at(0))
    await mongo_database[PROGRESSES].update_one({}, {"$set": {"processing.relayLease": BEYOND}})
    assert await claimed(store, "key", 1) == 1
