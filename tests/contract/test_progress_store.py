"""One contract for `ports.ProgressStore`: MongoDB's and the one in memory."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from bson import ObjectId

from processor.ports import ProgressReader, ProgressStore
from processor.store.progress import MongoProgressStore
from processor.store.reader import MongoProgressReader
from processor.testing.store import MemoryDatabase, MemoryProgressStore
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


class Both:
    """A store and a reader of the same documents."""

    def __init__(self, make: Callable[[], ProgressStore], reader: ProgressReader) -> None:
        self.store = make()
        self.other = make()
        self._reader = reader

    async def only(self) -> Mapping[str, Any]:
        [document] = [document async for document in self._reader.find()]
        return document

    async def all(self) -> list[Mapping[str, Any]]:
        return [document async for document in self._reader.find(limit=1_000)]


@pytest.fixture(params=["memory", "mongo"])
def both(request: pytest.FixtureRequest) -> Both:
    if request.param == "memory":
        database = MemoryDatabase()
        return Both(lambda: MemoryProgressStore(database), MemoryProgressStore(database))
    real = request.getfixturevalue("mongo_database")
    return Both(lambda: MongoProgressStore(real), MongoProgressReader(real))


def pending(document: Mapping[str, Any], waypoint: str = WAYPOINTS[0]) -> list[ObjectId]:
    return [entry["statement"] for entry in document["pendingProgress"][waypoint]["statements"]]


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


async def test_p1_one_fenced_document_leaves_the_others_landed(both: Both) -> None:
    await both.store.append([an_append(owner="a"), an_append(owner="b")], [], at(0))
    claim = await both.store.claim("key", at(1), at(61), 10)
    await both.other.claim("other", at(62), at(122), 1)
    applied = await both.store.apply(claim, [a_promotion(it, an_item(1)) for it in claim.documents], at(63))
    assert (applied.landed, applied.fenced) == (1, 1)


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


async def test_r1_events_stay_until_they_are_forgotten(both: Both) -> None:
    key = await _promoted(both, 1)
    first = await both.store.claim_events("relay", at(10), at(70), 10)
    assert not (await both.other.claim_events("other", at(11), at(71), 10)).outboxes  # leased
    again = await both.other.claim_events("other", at(71), at(131), 10)
    assert again.outboxes == first.outboxes
    await both.store.forget(first, {key: 1})  # too late: the lease is another's
    assert len((await both.only())["processing"]["outbox"]) == 1
    await both.other.forget(again, {key: 1})
    assert (await both.only())["processing"]["outbox"] == []
    assert not (await both.store.claim_events("third", at(999), at(1059), 10)).outboxes


async def test_r2_a_later_revision_is_not_forgotten_and_comes_next(both: Both) -> None:
    key = await _promoted(both, 1)
    claim = await both.store.claim_events("relay", at(10), at(70), 10)
    await _promoted(both, 2)
    await both.store.forget(claim, {key: 1})
    [event] = (await both.store.claim_events("next", at(30), at(90), 10)).outboxes[key]
    assert event.revision == 2


async def test_r2_events_of_a_document_come_in_revision_order(both: Both) -> None:
    for number in (1, 2, 3):
        key = await _promoted(both, number)
    claim = await both.store.claim_events("relay", at(40), at(100), 10)
    assert [event.revision for event in claim.outboxes[key]] == [1, 2, 3]


async def test_what_was_not_published_is_claimed_again_after_the_lease(both: Both) -> None:
    key = await _promoted(both, 1)
    claim = await both.store.claim_events("relay", at(10), at(70), 10)
    await both.store.forget(claim, {})
    assert not (await both.store.claim_events("soon", at(69), at(129), 10)).outboxes
    assert key in (await both.store.claim_events("late", at(71), at(131), 10)).outboxes


async def test_mark_due_wakes_what_waits_and_what_is_older(both: Both) -> None:
    await _promoted(both, 1)
    assert await both.store.mark_due(JOURNEY, 1, at(20)) == 0
    assert await both.store.mark_due(JOURNEY, 2, at(20)) == 1
    assert await both.store.mark_due(JOURNEY, 2, at(21)) == 0  # marked already
    assert (await both.only())["processing"]["due"] == at(20)


async def test_backlog_counts_what_waits(both: Both) -> None:
    await both.store.append([an_append(owner=name) for name in "abc"], [], at(0))
    await both.store.claim("key", at(1), at(61), 1)
    backlog = await both.store.backlog(at(62))
    assert (backlog.due, backlog.claimed, backlog.expired, backlog.oldest_due) == (2, 1, 1, at(0))
    await both.store.claim("rest", at(62), at(122), 10)
    await _promoted(both, 1, owner="d")
    after = await both.store.backlog(at(63))
    assert (after.due, after.outbox) == (0, 1)


async def _promoted(both: Both, number: int, owner: str = "ana") -> ObjectId:
    """Append and promote item `number`, so that revision `number` waits in the outbox; return the progress id."""
    append = an_append(an_item(number), owner=owner)
    await both.store.append([append], [], at(number))
    claim = await both.store.claim(f"promote-{owner}-{number}", at(number + 1), at(number + 61), 10)
    [document] = [it for it in claim.documents if it["_id"] == append.progress]
    assert (await both.store.apply(claim, [a_promotion(document, an_item(number))], at(number + 2))).landed == 1
    return append.progress
