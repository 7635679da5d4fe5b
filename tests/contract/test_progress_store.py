"""One contract for `ports.ProgressStore`: appending, claiming, promoting. MongoDB's store and the one in memory."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from processor.errors import DocumentFull
from processor.store.connect import Database
from processor.store.progress import MongoProgressStore
from tests.builders import (
    JOURNEY,
    ORGANISATION,
    WAYPOINTS,
    a_promotion,
    a_statement_record,
    an_append,
    an_item,
    at,
)
from tests.contract.stores import Both, pending


async def test_an_append_makes_the_document_and_marks_it_due(both: Both) -> None:
    await both.store.append([an_append(an_item(1), an_item(2))], [], at(5))
    document = await both.only()
    assert document["organisation"] == ORGANISATION
    assert document["journey"] == JOURNEY
    assert document["owner"] == {"trackBy": "actor", "ident": {"mbox": "mailto:ana@example.org"}}
    assert document["createdAt"] == document["updatedAt"] == document["processing"]["due"] == at(5)
    assert document["isCompleted"] is False
    assert document["completions"] == []
    assert pending(document) == [an_item(1).statement, an_item(2).statement]


async def test_i2_appending_twice_is_appending_once(both: Both) -> None:
    for seconds in (1, 2):
        await both.store.append([an_append(an_item(1))], [a_statement_record(1)], at(seconds))
    document = await both.only()
    assert pending(document) == [an_item(1).statement]
    assert document["createdAt"] == at(1)


async def test_trap_4_concurrent_appends_make_one_document(both: Both) -> None:
    stores = [both.store, both.other] * 10
    await asyncio.gather(
        *(store.append([an_append(an_item(number))], [], at(0)) for number, store in enumerate(stores))
    )
    assert len(pending(await both.only())) == 20


async def test_trap_4_an_upsert_that_lost_the_race_is_done_again(
    mongo_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rare, as mongod mostly repeats such an upsert by itself."""
    store, calls = MongoProgressStore(mongo_database), 0
    write = store._progresses.bulk_write

    async def losing_once(writes: list[UpdateOne], *, ordered: bool) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            there = {"index": 0, "code": 11000, "keyPattern": {"_id": 1}}
            raise BulkWriteError({"writeErrors": [there], "writeConcernErrors": []})
        return await write(writes, ordered=ordered)

    monkeypatch.setattr(store._progresses, "bulk_write", losing_once)
    await store.append([an_append()], [], at(0))
    assert (await store.backlog(at(1))).due == 1


async def test_an_upsert_that_is_done_again_tells_of_what_has_become_full_meanwhile(
    mongo_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is waited for; it is no bug, and stops no process."""
    store = MongoProgressStore(mongo_database)
    there = {"index": 0, "code": 11000, "keyPattern": {"_id": 1}}
    full = {"index": 0, "code": 17419, "op": {"q": {"_id": an_append().progress}}}
    failures = [{"writeErrors": [it], "writeConcernErrors": []} for it in (there, full)]

    async def failing(writes: list[UpdateOne], *, ordered: bool) -> object:
        raise BulkWriteError(failures.pop(0))

    monkeypatch.setattr(store._progresses, "bulk_write", failing)
    with pytest.raises(DocumentFull):
        await store.append([an_append()], [], at(0))
    assert not failures


async def test_trap_7_the_version_only_grows(both: Both) -> None:
    for version in (2, 3, 1):
        await both.store.append([an_append(version=version)], [], at(0))
    assert (await both.only())["processing"]["version"] == 3


async def test_a_claim_takes_the_oldest_due_first_and_no_more_than_asked(both: Both) -> None:
    for number, name in enumerate("abc"):
        await both.store.append([an_append(owner=name)], [], at(10 - number))
    claim = await both.store.claim("key", at(20), at(80), 2)
    assert [document["owner"]["ident"]["mbox"][7] for document in sorted(claim.documents, key=_due)] == ["c", "b"]
    assert {document["lockKey"] for document in claim.documents} == {"key"}


def _due(document: Mapping[str, Any]) -> Any:
    return document["updatedAt"]


async def test_a_document_that_is_appended_to_again_and_again_keeps_its_place(both: Both) -> None:
    """Else a busy learner would starve for as long as there is a backlog."""
    await both.append(an_append(owner="busy"), at_second=1)
    await both.append(an_append(owner="calm"), at_second=2)
    await both.append(an_append(an_item(2), owner="busy"), at_second=3)
    assert (await both.store.backlog(at(4))).oldest_due == at(1)
    [document] = (await both.store.claim("key", at(5), at(65), 1)).documents
    assert document["_id"] == an_append(owner="busy").progress


async def test_one_call_may_append_to_a_document_several_times(both: Both) -> None:
    await both.append(an_append(an_item(1)), an_append(an_item(2)), an_append(an_item(3), waypoint=WAYPOINTS[1]))
    document = await both.only()
    assert pending(document) == [an_item(1).statement, an_item(2).statement]
    assert pending(document, WAYPOINTS[1]) == [an_item(3).statement]


async def test_p1_two_workers_never_hold_the_same_document(both: Both) -> None:
    await both.store.append([an_append(owner=f"o{number}") for number in range(40)], [], at(0))
    claims = await asyncio.gather(
        *(store.claim(f"key{number}", at(1), at(61), 40) for number, store in enumerate([both.store, both.other] * 2))
    )
    held = [document["_id"] for claim in claims for document in claim.documents]
    assert len(held) == len(set(held)) == 40


async def test_p1_a_promotion_after_the_lease_was_taken_over_is_fenced(both: Both) -> None:
    await both.store.append([an_append(an_item(1))], [], at(0))
    late = await both.store.claim("late", at(1), at(61), 10)
    assert not (await both.other.claim("early", at(60), at(120), 10)).documents
    taken = await both.other.claim("taken", at(62), at(122), 10)
    assert [document["lockKey"] for document in taken.documents] == ["taken"]

    fenced = await both.store.apply(late, [a_promotion(late.documents[0], an_item(1))], at(63))
    assert (fenced.landed, fenced.fenced) == (0, 1)
    assert pending(await both.only()) == [an_item(1).statement]
    landed = await both.other.apply(taken, [a_promotion(taken.documents[0], an_item(1))], at(64))
    assert (landed.landed, landed.fenced) == (1, 0)
    assert (await both.only())["lockKey"] == "taken"


async def test_p1_the_lock_key_fences_even_where_two_leases_end_at_the_same_instant(both: Both) -> None:
    """Clocks differ between machines: the instant alone would not tell two workers apart."""
    await both.append(an_append(an_item(1)))
    late = await both.store.claim("late", at(1), at(61), 10)
    taken = await both.other.claim("taken", at(62), at(61), 10)
    assert len(taken.documents) == 1
    assert (await both.store.apply(late, [a_promotion(late.documents[0], an_item(1))], at(63))).fenced == 1


async def test_p1_one_fenced_document_leaves_the_others_landed(both: Both) -> None:
    await both.store.append([an_append(owner="a"), an_append(owner="b")], [], at(0))
    claim = await both.store.claim("key", at(1), at(61), 10)
    await both.other.claim("other", at(62), at(122), 1)
    applied = await both.store.apply(claim, [a_promotion(it, an_item(1)) for it in claim.documents], at(63))
    assert (applied.landed, applied.fenced) == (1, 1)


async def test_p1_a_worker_that_comes_back_after_its_lease_may_land_while_nobody_took_over(both: Both) -> None:
    """An expired lease costs nothing as long as the document carries the worker's own lockKey."""
    await both.append(an_append(an_item(1)))
    claim = await both.store.claim("slow", at(1), at(61), 10)
    applied = await both.store.apply(claim, [a_promotion(claim.documents[0], an_item(1))], at(99))
    assert (applied.landed, applied.fenced) == (1, 0)


async def test_p2_a_fenced_promotion_changes_nothing_at_all(both: Both) -> None:
    await both.append(an_append(an_item(1)))
    late = await both.store.claim("late", at(1), at(61), 10)
    await both.other.claim("taken", at(62), at(122), 10)
    before = await both.only()
    await both.store.apply(late, [a_promotion(late.documents[0], an_item(1))], at(63))
    assert await both.only() == before


async def test_p2_fields_can_go(both: Both) -> None:
    await both.promoted(1)
    await both.append(an_append(an_item(2)), at_second=5)
    claim = await both.store.claim("key", at(6), at(66), 10)
    promotion = a_promotion(claim.documents[0], an_item(2), has_event=False, processing={"folded": None, "cut": 3})
    await both.store.apply(claim, [replace(promotion, removed=("startedAt",))], at(7))
    document = await both.only()
    assert "startedAt" not in document
    assert "folded" not in document["processing"]
    assert document["processing"]["cut"] == 3


async def test_p2_one_update_consumes_promotes_and_fills_the_outbox(both: Both) -> None:
    await both.store.append([an_append(an_item(1))], [], at(0))
    claim = await both.store.claim("key", at(1), at(61), 10)
    await both.store.apply(claim, [a_promotion(claim.documents[0], an_item(1))], at(2))
    document = await both.only()
    assert document["pendingProgress"] == {WAYPOINTS[0]: {"statements": []}}  # the key stays, as in the seed
    assert document["startedAt"] == at(1)
    assert document["updatedAt"] == at(2)
    assert document["processing"]["revision"] == 1
    assert "lease" not in document["processing"]
    [event] = (await both.store.claim_events("relay", at(3), at(63), 10)).outboxes[document["_id"]]
    assert (event.revision, event.data) == (1, b'{"n":1}')


async def test_updated_at_never_goes_back(both: Both) -> None:
    """By a process whose clock is behind, whether it appends or finds that nothing changes."""
    await both.store.append([an_append(an_item(1))], [], at(60))
    await both.store.append([an_append(an_item(2))], [], at(1))
    assert (await both.only())["updatedAt"] == at(60)
    claim = await both.store.claim("key", at(2), at(62), 10)
    await both.store.apply(claim, [a_promotion(claim.documents[0], an_item(1), has_event=False)], at(3))
    assert (await both.only())["updatedAt"] == at(60)


async def test_trap_1_only_what_was_read_is_consumed(both: Both) -> None:
    await both.store.append([an_append(an_item(1))], [], at(0))
    claim = await both.store.claim("key", at(1), at(61), 10)
    await both.other.append([an_append(an_item(2))], [], at(2))
    await both.store.apply(claim, [a_promotion(claim.documents[0], an_item(1))], at(3))
    assert pending(await both.only()) == [an_item(2).statement]


async def test_p3_an_append_during_a_promotion_is_claimed_next(both: Both) -> None:
    await both.store.append([an_append(an_item(1))], [], at(0))
    claim = await both.store.claim("key", at(1), at(61), 10)
    await both.other.append([an_append(an_item(2))], [], at(2))
    assert not (await both.other.claim("other", at(3), at(63), 10)).documents  # still ours
    await both.store.apply(claim, [a_promotion(claim.documents[0], an_item(1))], at(4))
    [document] = (await both.store.claim("next", at(5), at(65), 10)).documents
    assert pending(document) == [an_item(2).statement]


async def test_trap_2_the_due_mark_is_gone_once_claimed(both: Both) -> None:
    await both.store.append([an_append(an_item(1))], [], at(0))
    [document] = (await both.store.claim("key", at(1), at(61), 10)).documents
    assert "due" not in document["processing"]


async def test_trap_3_applying_twice_fills_the_outbox_once(both: Both) -> None:
    await both.store.append([an_append(an_item(1))], [], at(0))
    claim = await both.store.claim("key", at(1), at(61), 10)
    promotions = [a_promotion(claim.documents[0], an_item(1))]
    assert (await both.store.apply(claim, promotions, at(2))).landed == 1
    assert (await both.store.apply(claim, promotions, at(3))).landed == 0
    assert len((await both.only())["processing"]["outbox"]) == 1


async def test_a_promotion_that_decides_nothing_frees_the_document(both: Both) -> None:
    await both.store.append([an_append(an_item(1))], [], at(0))
    claim = await both.store.claim("key", at(1), at(61), 10)
    await both.store.apply(claim, [a_promotion(claim.documents[0], has_event=False)], at(2))
    document = await both.only()
    assert document["updatedAt"] == at(0)
    assert not (await both.store.claim("again", at(3), at(63), 10)).documents
    assert not (await both.store.claim_events("relay", at(3), at(63), 10)).outboxes
