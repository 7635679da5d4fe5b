"""One contract for `ports.ProgressStore`: outboxes in the hands of a relay that keeps account of them (R1, R2)."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest
from bson import ObjectId
from msgspec.structs import replace

from processor.core.beginning import begin
from processor.core.continuation import go_on
from processor.core.evidence import ProgressEvent, Promotion
from processor.core.policy import FoldingPolicy
from processor.core.relaying import HANDY, Account
from processor.ports.progress import Applied, Claim, OutboxClaim, ProgressStore
from processor.store.connect import Database
from processor.store.progress import MongoProgressStore
from processor.store.reader import MongoProgressReader
from processor.store.relays import AGAIN, KEPT
from processor.testing.store import MemoryProgressStore
from tests.builders import a_promotion, an_append, an_item, at, journey_rules
from tests.contract.stores import RELAY, Both, a_lease
from tests.contract.test_store_go_on import none

RULES = journey_rules((0, 3), (1, 1))
LATER = AGAIN.total_seconds() + 1
"""After so many seconds a store looks again for what it has looked for."""

DAYS = KEPT.total_seconds()


async def handed(both: Both, number: int = 1, owner: str = "ana", at_second: float = 1, until: float = 60) -> ObjectId:
    """Begin a document whose first event is handed to the relay; return its id."""
    begun = begin(an_append(an_item(1), owner=owner), RULES, FoldingPolicy(), f"begun-{owner}", at(at_second))
    assert begun
    assert not await both.store.begin([begun], a_lease(number, until), at(at_second))
    return begun.append.progress


async def applied(both: Both, number: int, at_second: float, lease: int | None = None, owner: str = "ana") -> Applied:
    """Append and promote item `number`, by way of claim and apply."""
    append = an_append(an_item(number), owner=owner)
    await both.append(append, at_second=at_second)
    claim = await both.store.claim(f"{owner}-{number}", at(at_second), at(at_second + 60), 10)
    [document] = [it for it in claim.documents if it["_id"] == append.progress]
    promotions = [a_promotion(document, an_item(number))]
    return await both.store.apply(claim, promotions, at(at_second), a_lease(lease) if lease else None)


async def claimed(store: ProgressStore, at_second: float, limit: int = 10) -> OutboxClaim:
    return await store.claim_events(f"relay-{at_second}", at(at_second), at(at_second + 60), limit)


async def revisions(store: ProgressStore, at_second: float, limit: int = 10) -> dict[ObjectId, list[int]]:
    """Claim; return the revisions of each document that is to be published."""
    claim = await claimed(store, at_second, limit)
    return {progress: [event.revision for event in events] for progress, events in claim.outboxes.items()}


async def remove_accounts(store: ProgressStore) -> None:
    """Remove what all relays have told, as somebody may by hand."""
    if isinstance(store, MongoProgressStore):
        await store._relays._relays.delete_many({})
    else:
        assert isinstance(store, MemoryProgressStore)
        store._database.relays.clear()


async def accounts(store: ProgressStore) -> int:
    """How many accounts there are."""
    if isinstance(store, MongoProgressStore):
        return await store._relays._relays.count_documents({})
    assert isinstance(store, MemoryProgressStore)
    return len(store._database.relays)


async def end(both: Both, last: int, at_second: float, left: Collection[int] = ()) -> None:
    """Let the relay tell that nothing more is to come from it."""
    await both.store.keep_account(Account(RELAY, last, left=frozenset(left)), at(at_second), None)


@pytest.mark.parametrize("busy", [(), (1,)], ids=["not told of yet", "open"])
async def test_r2_what_a_relay_was_handed_is_its_own_until_its_lease_ran_out(both: Both, busy: Sequence[int]) -> None:
    await both.account(0, at_second=0)
    progress = await handed(both)
    if busy:
        await both.account(1, at_second=2, busy=busy)
    assert not await revisions(both.other, 3)
    assert not await revisions(both.other, 60)
    assert await revisions(both.other, 61.5) == {progress: [1]}


async def test_r2_a_relay_that_stays_keeps_what_it_was_handed(both: Both) -> None:
    await both.account(0, at_second=0)
    progress = await handed(both)
    assert not await revisions(both.other, 5)
    await both.account(1, at_second=50, busy=[1], until=150)
    assert not await revisions(both.other, 149)
    assert await revisions(both.other, 151) == {progress: [1]}


async def test_r1_what_a_relay_has_left_is_claimed_at_once_though_it_lives(both: Both) -> None:
    await both.account(0, at_second=0)
    left, busy, done, more = [await handed(both, number, f"o{number}") for number in (1, 2, 3, 4)]
    assert not await revisions(both.other, 2)
    await both.account(3, at_second=3, busy=[2], left=[1])
    claim = await claimed(both.other, 4)
    assert list(claim.outboxes) == [left]
    await both.other.forget([(claim, {left: 1})])
    assert not await revisions(both.other, 6)
    await both.account(4, at_second=7, left=[1, 2])
    assert await revisions(both.other, 8) == {busy: [1]}
    documents = {it["_id"]: it["processing"] for it in await both.all()}
    assert documents[left]["outbox"] == []
    assert "handed" not in documents[left]
    assert [documents[it]["handed"]["number"] for it in (done, more)] == [3, 4]


async def test_r1_what_is_left_before_it_lands_is_found_when_it_has(both: Both) -> None:
    """Who has filled it was cancelled, and its write lands after somebody has looked."""
    await both.account(1, at_second=0, left=[1], until=500)
    assert not await revisions(both.other, 1)
    progress = await handed(both, 1, at_second=2)
    assert await revisions(both.other, 1 + LATER) == {progress: [1]}


async def test_what_is_published_is_never_claimed_again(both: Both) -> None:
    await both.account(0, at_second=0)
    await handed(both)
    await both.account(1, at_second=2)
    for seconds in (3, 59, 61, 200, 61 + DAYS / 2, 100 + DAYS, 200 + DAYS):
        assert not await revisions(both.other, seconds)
    assert not await revisions(both.store, 300 + DAYS)  # its first look
    assert (await both.store.backlog(at(301 + DAYS))).outbox == 0


async def test_what_is_published_is_never_claimed_again_when_its_relay_has_ended(both: Both) -> None:
    await both.account(0, at_second=0)
    await handed(both)
    assert not await revisions(both.other, 1)
    await end(both, 1, at_second=2)
    for store in (both.other, both.store):
        for seconds in (3, 61, 200):
            assert not await revisions(store, seconds)
    assert [len(it["processing"]["outbox"]) for it in (await both.store.at_rest([an_append().progress])).values()] == [
        0
    ]


async def test_r1_what_an_ended_relay_had_not_published_is_found_by_an_audit(both: Both) -> None:
    """As an account is that was edited by hand: an orderly end leaves nothing."""
    await both.account(0, at_second=0)
    left, late = await handed(both, 1, "left"), await handed(both, 3, "late")
    await handed(both, 2, "done")
    await end(both, 2, at_second=2, left=[1])
    assert not await revisions(both.other, 2)
    await both.store.audit(at(3))
    assert await revisions(both.other, 3) == {left: [1], late: [1]}


async def test_r1_a_relay_that_ends_in_an_orderly_way_lets_others_look_at_once(both: Both) -> None:
    await both.account(0, at_second=0)
    progress = await handed(both)
    assert not await revisions(both.other, 1)
    await both.account(1, at_second=5, left=[1], until=5)
    assert await revisions(both.other, 6) == {progress: [1]}


async def test_r2_a_second_event_waits_for_the_first_that_is_in_a_relays_hands(both: Both) -> None:
    await both.account(0, at_second=0)
    progress = await handed(both)
    assert not (await applied(both, 2, 3, lease=2)).outboxes  # not idle: not handed over
    assert not await revisions(both.other, 4)
    assert not await revisions(both.store, 5)
    claim = await claimed(both.other, 62)
    assert [event.revision for event in claim.outboxes[progress]] == [1, 2]
    await both.other.forget([(claim, {progress: 2})])
    await assert_empty(both)


async def test_r2_a_second_event_comes_by_itself_when_the_first_is_published(both: Both) -> None:
    await both.account(0, at_second=0)
    progress = await handed(both)
    await applied(both, 2, 3)
    assert not await revisions(both.other, 4)
    await both.account(1, at_second=5)
    claim = await claimed(both.other, 6)
    assert [event.revision for event in claim.outboxes[progress]] == [2]
    await both.other.forget([(claim, {progress: 2})])
    await assert_empty(both)


async def test_r2_both_come_in_order_when_the_first_is_left(both: Both) -> None:
    await both.account(0, at_second=0)
    progress = await handed(both)
    await applied(both, 2, 3)
    assert not await revisions(both.other, 4)
    await both.account(1, at_second=5, left=[1])
    claim = await claimed(both.other, 6)
    assert [event.revision for event in claim.outboxes[progress]] == [1, 2]
    await both.other.forget([(claim, {progress: 1})])
    assert await revisions(both.store, 8) == {progress: [2]}


async def test_r2_a_third_event_that_comes_while_the_second_is_claimed_is_not_lost(both: Both) -> None:
    await both.account(0, at_second=0)
    progress = await handed(both)
    await applied(both, 2, 3)
    await both.account(1, at_second=5)
    claim = await claimed(both.other, 6)
    assert not (await applied(both, 3, 7, lease=2)).outboxes
    await both.other.forget([(claim, {progress: 2})])
    assert await revisions(both.other, 8) == {progress: [3]}


async def assert_empty(both: Both) -> None:
    processing = (await both.only())["processing"]
    assert processing["outbox"] == []
    assert not processing.keys() & {"publish", "relayKey", "relayLease", "relayHolder"}
    for store in (both.store, both.other):
        assert not await revisions(store, 1_000)


async def test_the_next_event_takes_the_place_of_a_published_one_by_claim_and_apply(both: Both) -> None:
    await both.account(0, at_second=0)
    progress = await handed(both)
    await both.account(1, at_second=2, until=120)
    done = await applied(both, 2, 3, lease=2)
    assert [event.revision for event in done.outboxes[progress]] == [2]
    processing = (await both.only())["processing"]
    assert [revision_of(it) for it in processing["outbox"]] == [2]
    assert processing["handed"] == {"relay": RELAY, "number": 2, "revision": 2}
    assert "publish" not in processing
    assert not await revisions(both.other, 5)
    assert await revisions(both.other, 121) == {progress: [2]}


async def test_the_next_event_takes_its_place_also_without_a_lease(both: Both) -> None:
    await both.account(0, at_second=0)
    progress = await handed(both)
    await both.account(1, at_second=2)
    assert not (await applied(both, 2, 3)).outboxes
    assert "handed" not in (await both.only())["processing"]
    claim = await claimed(both.other, 4)
    assert [event.revision for event in claim.outboxes[progress]] == [2]
    await both.other.forget([(claim, {progress: 2})])
    await assert_empty(both)


@pytest.mark.parametrize("lease", [a_lease(2), None], ids=["handed over", "marked"])
async def test_the_next_event_takes_the_place_of_a_published_one_at_rest(both: Both, lease: object) -> None:
    await both.account(0, at_second=0)
    progress = await handed(both)
    append = an_append(an_item(2))
    before = await both.other.at_rest([progress])
    assert len(before[progress]["processing"]["outbox"]) == 1
    await both.account(1, at_second=2)
    documents = await both.other.at_rest([progress])
    assert documents[progress]["processing"]["outbox"] == []
    assert "handed" not in documents[progress]["processing"]
    found = go_on(append, RULES, documents[progress], FoldingPolicy(), "next", at(3))
    assert found
    assert found.is_idle
    assert not await both.other.go_on([found], "next", a_lease(2) if lease else None, at(3))
    processing = (await both.only())["processing"]
    assert [revision_of(it) for it in processing["outbox"]] == [2]
    assert processing.get("handed", {}).get("number") == (2 if lease else None)
    assert await revisions(both.store, 61 if lease else 4) == {progress: [2]}


async def test_r2_one_who_read_before_the_account_adds_its_event_and_the_first_is_not_repeated(both: Both) -> None:
    await both.account(0, at_second=0)
    progress = await handed(both)
    found = go_on(
        an_append(an_item(2)), RULES, (await both.store.at_rest([progress]))[progress], FoldingPolicy(), "next", at(3)
    )
    assert found
    assert not found.is_idle
    await both.account(1, at_second=4)
    assert not await both.store.go_on([found], "next", a_lease(2), at(5))
    assert await revisions(both.other, 6) == {progress: [2]}


async def test_the_account_of_an_ended_relay_goes_when_no_document_names_it(both: Both) -> None:
    await both.account(0, at_second=0)
    progress = await handed(both)
    await end(both, 1, at_second=2)
    await both.store.audit(at(3))
    assert await accounts(both.store) == 1
    await applied(both, 2, 4)  # takes its place, and is marked
    await both.store.audit(at(5))
    assert await accounts(both.store) == 0
    assert await revisions(both.other, 6) == {progress: [2]}


async def test_what_could_not_be_published_is_left_to_any(both: Both) -> None:
    await both.account(0, at_second=0)
    ana, _ = await handed(both, 1, "ana"), await handed(both, 1, "ben")
    await both.store.leave(RELAY, 1, [ana], at(2))
    await both.store.leave(RELAY, 2, [ana], at(2))
    await both.account(1, at_second=3)
    assert await revisions(both.other, 4) == {ana: [1]}
    assert (await both.store.backlog(at(5))).outbox == 1


async def test_r1_what_was_handed_to_a_relay_that_has_no_account_is_published_by_others(both: Both) -> None:
    """Also what it had published: nobody knows that any more."""
    await both.account(0, at_second=0)
    all_of_it = {await handed(both, number, f"o{number}"): [1] for number in (1, 2, 3)}
    await both.account(3, at_second=2, busy=[2])
    await remove_accounts(both.store)
    await both.store.audit(at(3))
    claim = await claimed(both.other, 3)
    assert {progress: [it.revision for it in events] for progress, events in claim.outboxes.items()} == all_of_it
    await both.other.forget([(claim, dict.fromkeys(all_of_it, 1))])
    assert not await revisions(both.other, 5)
    assert not await revisions(both.store, 100)
    assert all("handed" not in it["processing"] for it in await both.all())


async def test_r1_what_came_later_to_an_outbox_of_no_account_is_published_with_it(both: Both) -> None:
    await both.account(0, at_second=0)
    progress = await handed(both)
    assert not await revisions(both.other, 1)  # has looked for such relays
    await remove_accounts(both.store)
    await applied(both, 2, 3)
    assert await revisions(both.other, 4) == {progress: [1, 2]}


@pytest.mark.parametrize("number", [1, 4], ids=["open when it ended", "begun after its last account"])
async def test_r1_a_write_that_lands_late_under_a_lease_that_ran_out_is_found(both: Both, number: int) -> None:
    await both.account(3, at_second=0, busy=[1])
    assert not await revisions(both.other, 61)
    progress = await handed(both, number, at_second=62)
    await handed(both, 2, "published", at_second=62)
    assert await revisions(both.other, 61 + LATER) == {progress: [1]}
    again = await handed(both, number, "ben", at_second=62 + LATER)
    assert await revisions(both.other, 61 + 2 * LATER) == {progress: [1], again: [1]}


async def test_r1_it_is_found_by_an_audit_however_late(both: Both) -> None:
    await both.account(3, at_second=0)
    for seconds in (61, 100 + DAYS, 200 + DAYS):
        assert not await revisions(both.other, seconds)
    progress = await handed(both, 4, at_second=201 + DAYS)
    await both.store.audit(at(299 + DAYS))
    assert await revisions(both.store, 300 + DAYS) == {progress: [1]}


@pytest.mark.parametrize(("size", "is_handed"), [(HANDY, True), (HANDY + 1, False)])
async def test_a_large_event_is_marked_and_not_handed_over(both: Both, size: int, is_handed: bool) -> None:
    await both.account(0, at_second=0, until=200)
    data = b"x" * size
    begun = begin(an_append(an_item(1), owner="begun"), RULES, FoldingPolicy(), "begun", at(1))
    assert begun
    assert begun.event
    await both.store.begin([replace(begun, event=replace(begun.event, data=data))], a_lease(1), at(1))

    await both.append(an_append(an_item(1), owner="applied"), at_second=2)
    claim = await both.store.claim("applied", at(3), at(63), 10)
    [promotion] = [a_promotion(it, an_item(1)) for it in claim.documents]
    done = await both.store.apply(claim, [with_data(promotion, data)], at(4), a_lease(2))

    rest = await handed(both, 3, "continued")
    await both.account(3, at_second=5, busy=[1, 2], until=200)
    document = (await both.store.at_rest([rest]))[rest]
    found = go_on(an_append(an_item(2), owner="continued"), RULES, document, FoldingPolicy(), "next", at(6))
    assert found
    assert found.is_idle
    continuation = replace(found, promotion=with_data(found.promotion, data))
    assert not await both.store.go_on([continuation], "next", a_lease(4), at(6))

    marks = {it["_id"]: "handed" in it["processing"] for it in await both.all()}
    everything = dict.fromkeys([begun.append.progress, promotion.progress, rest], is_handed)
    assert marks == everything
    assert list(done.outboxes) == ([promotion.progress] if is_handed else [])
    claim_of_others = await claimed(both.other, 7)
    assert set(claim_of_others.outboxes) == (set() if is_handed else set(everything))
    assert all(events[0].data == data for events in claim_of_others.outboxes.values())


async def test_the_backlog_counts_what_is_handed_and_unpublished_once(both: Both) -> None:
    await both.account(0, at_second=0)
    for number, owner in enumerate(("open", "left", "done", "new"), start=1):
        await handed(both, number, owner)
    await both.account(3, at_second=2, busy=[1], left=[2])
    await applied(both, 2, 3, owner="open")  # handed, and marked
    assert (await both.store.backlog(at(4))).outbox == 3
    await both.account(4, at_second=5)
    assert (await both.store.backlog(at(6))).outbox == 1
    await claimed(both.other, 7)
    assert (await both.store.backlog(at(8))).outbox == 1


async def test_the_locks_tell_who_was_handed_what(both: Both) -> None:
    store = both.store
    store._worker = "one"  # type: ignore[attr-defined]
    await both.account(0, at_second=0, until=30)
    first = await handed(both, 1, "a")
    await both.account(1, at_second=20, busy=[1], until=80)
    second = await handed(both, 2, "b")
    found = {lock.progress: lock for lock in await both.other.locks(10)}
    assert set(found) == {first, second}
    for progress, number in ((first, 1), (second, 2)):
        lock = found[progress]
        assert (lock.loop, lock.lock_key) == ("relay", f"{RELAY}/{number}")
        assert (lock.worker, lock.since, lock.until) == ("one", at(0), at(80))
    assert len(await both.other.locks(1)) == 1
    await both.account(2, at_second=21, left=[2], until=80)
    assert [lock.progress for lock in await both.other.locks(10)] == [second]
    await end(both, 2, at_second=22)
    assert not await both.other.locks(10)


async def test_r1_what_is_anothers_does_not_keep_what_comes_after_it_waiting(both: Both) -> None:
    """A relay that died holds a whole batch of outboxes to which something has come since."""
    await both.account(0, at_second=0)
    for number in (1, 2):
        await handed(both, number, f"o{number}")
        await applied(both, 2, 3, owner=f"o{number}")
    free = await both.promoted(5, owner="free")
    assert [await revisions(both.other, seconds, limit=2) for seconds in (10, 12, 14)] == [{}, {free: [1]}, {}]


async def test_r1_who_forgets_an_event_leaves_the_mark_of_one_that_took_its_place(both: Both) -> None:
    """A promoter knows that the first is published; then the account is removed, and a relay publishes it again."""
    await both.account(0, at_second=0)
    progress = await handed(both)
    await both.account(1, at_second=2)
    await both.append(an_append(an_item(2)), at_second=3)
    promoting = await both.store.claim("promoter", at(3), at(63), 10)
    await remove_accounts(both.store)
    await both.other.audit(at(4))
    relaying = await claimed(both.other, 4)
    assert list(relaying.outboxes) == [progress]
    await both.account(1, at_second=5, until=60)
    promotions = [a_promotion(it, an_item(2)) for it in promoting.documents]
    assert (await both.store.apply(promoting, promotions, at(6), a_lease(2))).outboxes
    await both.other.forget([(relaying, {progress: 1})])
    # The relay that has the second dies.
    assert await revisions(both.other, 200) == {progress: [2]}


async def test_r1_who_marks_by_an_old_account_takes_no_mark_of_a_later_event_away(
    mongo_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account comes late, after its lease, between another's look at it and that one's marking."""
    one, other = MongoProgressStore(mongo_database), MongoProgressStore(mongo_database)
    both = Both(one, other, MongoProgressReader(mongo_database), none)
    await both.account(1, at_second=0, busy=[1], until=60)
    progress = await handed(both)
    await both.append(an_append(an_item(2)), at_second=3)
    promoting: list[Claim] = []
    update_many = other._relays._progresses.update_many

    async def late(*what: Any, **how: Any) -> object:
        if not promoting:
            await both.account(1, at_second=61, until=150)  # it was published long ago
            promoting.append(await one.claim("promoter", at(61), at(121), 10))
        return await update_many(*what, **how)

    monkeypatch.setattr(other._relays._progresses, "update_many", late)
    relaying = await claimed(other, 61)
    if relaying.outboxes:
        assert list(relaying.outboxes) == [progress]
    [claim] = promoting
    await one.apply(claim, [a_promotion(it, an_item(2)) for it in claim.documents], at(62), a_lease(2, 150))
    await other.forget([(relaying, dict.fromkeys(relaying.outboxes, 1))])
    # The relay that has the second dies.
    assert (await revisions(other, 300))[progress][-1] == 2


async def test_r1_what_landed_days_after_its_lease_comes_with_the_next_event(mongo_database: Database) -> None:
    """Nobody looks for it any more; but for whoever finds the document it is nobody's."""
    one, other = MongoProgressStore(mongo_database), MongoProgressStore(mongo_database)
    both = Both(one, other, MongoProgressReader(mongo_database), none)
    await both.account(0, at_second=0)
    for seconds in (61, 100 + DAYS):
        assert not await revisions(other, seconds)
    late = await handed(both, 1, at_second=101 + DAYS)
    assert not await revisions(other, 102 + DAYS)
    await applied(both, 2, 103 + DAYS)
    assert await revisions(other, 104 + DAYS) == {late: [1, 2]}


async def test_r2_a_relay_that_comes_back_after_days_is_alive_again(mongo_database: Database) -> None:
    """Its machine was suspended: meanwhile its account was taken out of what is looked at."""
    one, other = MongoProgressStore(mongo_database), MongoProgressStore(mongo_database)
    both = Both(one, other, MongoProgressReader(mongo_database), none)
    await both.account(0, at_second=0)
    for seconds in (61, 100 + DAYS):
        assert not await revisions(other, seconds)
    late = await handed(both, 1, "late", at_second=101 + DAYS)
    await applied(both, 2, 102 + DAYS, owner="late")
    assert await revisions(other, 103 + DAYS) == {late: [1, 2]}
    await both.account(1, at_second=104 + DAYS, left=[1], until=500 + DAYS)
    await handed(both, 2, "ben", at_second=105 + DAYS)
    await applied(both, 2, 106 + DAYS, owner="ben")
    assert not await revisions(other, 108 + DAYS)


def revision_of(entry: ProgressEvent | Mapping[str, int]) -> int:
    return entry.revision if isinstance(entry, ProgressEvent) else entry["revision"]


def with_data(promotion: Promotion, data: bytes) -> Promotion:
    assert promotion.event
    return replace(promotion, event=replace(promotion.event, data=data))


async def test_r2_the_relays_own_process_knows_at_once_what_it_has_published(both: Both) -> None:
    """Others know when the account is kept. What its process decides meanwhile stays right for them."""
    await both.account(0, at_second=0)
    progress = await handed(both)
    both.store.note_account(Account(RELAY, 1))
    [mine] = (await both.store.at_rest([progress])).values()
    [theirs] = (await both.other.at_rest([progress])).values()
    assert [len(it["processing"]["outbox"]) for it in (mine, theirs)] == [0, 1]
    done = await applied(both, 2, 3, lease=2)
    assert [event.revision for event in done.outboxes[progress]] == [2]
    assert not await revisions(both.other, 5)
    assert await revisions(both.other, 61.5) == {progress: [2]}


async def test_r2_a_second_event_comes_by_itself_to_the_relay_that_has_published_the_first(both: Both) -> None:
    await both.account(0, at_second=0)
    progress = await handed(both)
    await applied(both, 2, 3)
    both.store.note_account(Account(RELAY, 1))
    assert await revisions(both.store, 4) == {progress: [2]}


async def test_what_is_noted_stays_so_when_an_older_account_is_kept_or_stands_in_the_store(both: Both) -> None:
    await both.account(0, at_second=0)
    first, second, third = [await handed(both, number, f"o{number}") for number in (1, 2, 3)]
    keeping = asyncio.create_task(both.account(1, at_second=2))
    await asyncio.sleep(0)  # it is under way
    both.store.note_account(Account(RELAY, 2))
    await keeping
    documents = await both.store.at_rest([first, second, third])
    assert [len(documents[it]["processing"]["outbox"]) for it in (first, second, third)] == [0, 0, 1]
    documents = await both.store.at_rest([second, third])
    assert len(documents[second]["processing"]["outbox"]) == 0, "the third made it ask who has published what"


async def test_what_is_noted_while_accounts_are_read_stays_so(
    mongo_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or its process would not hear of it again: it does not ask for the account of its own relay any more."""
    store = MongoProgressStore(mongo_database)
    await store.keep_account(Account(RELAY), at(0), at(60))
    ids = []
    for number, owner in enumerate(("ana", "ben"), 1):
        begun = begin(an_append(an_item(1), owner=owner), RULES, FoldingPolicy(), f"begun-{owner}", at(1))
        assert begun
        await store.begin([begun], a_lease(number), at(1))
        ids.append(begun.append.progress)
    find, asked = store._relays._relays.find, 0

    def told_meanwhile(*conditions: Any) -> Any:
        nonlocal asked
        asked += 1
        cursor = find(*conditions)
        answer = cursor.to_list

        async def answered() -> Any:
            accounts = await answer()
            store.note_account(Account(RELAY, 1))
            return accounts

        monkeypatch.setattr(cursor, "to_list", answered)
        return cursor

    monkeypatch.setattr(store._relays._relays, "find", told_meanwhile)
    for _ in range(2):
        documents = await store.at_rest(ids)
        assert [len(documents[it]["processing"]["outbox"]) for it in ids] == [0, 1]
    assert asked == 1
