"""One contract for `ports.ProgressStore`: the next promotions of documents at rest, each one update."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from bson import ObjectId
from msgspec.structs import replace
from pymongo.errors import BulkWriteError

from processor.core.beginning import begin
from processor.core.continuation import Continuation, go_on
from processor.core.journey import JourneyRules
from processor.core.policy import FoldingPolicy
from processor.core.promotion import promote
from processor.errors import StoreUnavailable
from processor.store.connect import Database
from processor.store.progress import MongoProgressStore
from processor.store.reader import MongoProgressReader
from schemas.progress import render_progress
from tests.builders import WAYPOINTS, an_append, an_item, at, journey_rules
from tests.contract.stores import Both, a_lease, pending

LEASE = a_lease(2)
RULES = journey_rules((0, 3), (1, 1))


async def at_rest(both: Both, owner: str = "ana", *, is_idle: bool = True) -> ObjectId:
    """Begin a document; publish its event, so that something may take its place, if it `is_idle`."""
    begun = begin(an_append(an_item(1), owner=owner), RULES, FoldingPolicy(), f"begun-{owner}", at(1))
    assert begun
    number = 1 if is_idle else 3
    await both.store.begin([begun], a_lease(number), at(1))
    await both.account(3, at_second=1, busy=[2, 3])
    return begun.append.progress


async def continued(
    both: Both,
    number: int = 2,
    owner: str = "ana",
    waypoint: str = WAYPOINTS[0],
    rules: JourneyRules = RULES,
    at_second: int | None = None,
) -> Continuation:
    """Read the document, and decide what becomes of it by one more item."""
    append = an_append(an_item(number), owner=owner, waypoint=waypoint, version=rules.version)
    documents = await both.store.at_rest([append.progress])
    found = go_on(
        append,
        rules,
        documents[append.progress],
        FoldingPolicy(),
        "lock",
        at(number + 1 if at_second is None else at_second),
    )
    assert found
    return found


async def test_a_continued_document_is_what_append_claim_and_apply_make(both: Both) -> None:
    """All but the instants at which something was done."""
    await at_rest(both, "usual")
    await at_rest(both, "passing")
    newer = journey_rules((0, 3), (1, 1), version=2)
    usual = await continued(both, 2, "usual", WAYPOINTS[1], newer)
    await both.append(usual.append, at_second=3)
    claim = await both.store.claim("lock", at(3), at(63), 10)
    assert (await both.store.apply(claim, [usual.promotion], at(3))).landed == 1
    passing = await continued(both, 2, "passing", WAYPOINTS[1], newer)
    assert not await both.store.go_on([passing], "lock", None, at(3))
    one, other = [comparable(it) for it in await both.all()]
    assert one == other
    assert one["lockKey"] == "lock"
    assert (one["processing"]["revision"], one["processing"]["version"]) == (2, 2)
    assert "lease" not in one["processing"]


@pytest.mark.parametrize("behind", [0, 60], ids=["clocks agree", "a clock is behind"])
@pytest.mark.parametrize("way", ["begun", "continued", "claimed"])
async def test_p2_an_event_tells_the_document_as_it_stands_after_the_change(both: Both, way: str, behind: int) -> None:
    """Its lock and dates, too: whoever subscribes sees what whoever asks the interfaces sees (semantics.md, 7)."""
    await at_rest(both)
    before = (await both.only())["updatedAt"]
    if way == "continued":
        assert not await both.store.go_on([await continued(both, at_second=3 - behind)], "lock", None, at(4 - behind))
    if way == "claimed":
        await both.append(an_append(an_item(2)), at_second=2 - behind)
        claim = await both.store.claim("lock", at(3), at(63), 10)
        [document] = claim.documents
        promotion = promote(document, RULES, FoldingPolicy(), at(4 - behind))
        assert (await both.store.apply(claim, [promotion], at(5 - behind))).landed == 1
    document = await both.only()
    assert document["updatedAt"] >= before
    [entry] = document["processing"]["outbox"]
    told = orjson.loads(entry["data"] if isinstance(entry, Mapping) else entry.data)
    assert told.pop("changes")
    assert told == render_progress(document, with_pending=False)


def comparable(document: Any) -> dict[str, Any]:
    [_] = document["processing"]["outbox"]
    return {**document, "_id": 0, "owner": 0, "processing": {**document["processing"], "outbox": 0}}


async def test_p1_it_lands_only_under_the_lock_that_was_read(both: Both) -> None:
    await at_rest(both, "ana")
    await at_rest(both, "ben")
    mine, theirs, free = await continued(both, 2), await continued(both, 3), await continued(both, 2, "ben")
    assert not await both.other.go_on([theirs], "theirs", None, at(4))
    assert await both.store.go_on([mine, free], "mine", None, at(5)) == {mine.progress}
    documents = {it["_id"]: it for it in await both.all()}
    assert documents[mine.progress]["lockKey"] == "theirs"
    assert documents[mine.progress]["processing"]["revision"] == 2
    assert documents[free.progress]["processing"]["revision"] == 2


async def test_p1_it_lands_on_nothing_that_is_claimed_meanwhile(both: Both) -> None:
    progress = await at_rest(both)
    late = await continued(both, 2)
    await both.append(an_append(an_item(3)), at_second=4)
    claim = await both.other.claim("promoter", at(5), at(65), 10)
    assert await both.store.go_on([late], "late", None, at(6)) == {progress}
    [document] = claim.documents
    assert pending(document) == [an_item(3).statement]
    assert (await both.only())["processing"]["revision"] == 1


@pytest.mark.parametrize("waypoint", WAYPOINTS[:2], ids=["was pending before", "is new"])
async def test_p3_what_is_appended_meanwhile_stays_pending_and_due(both: Both, waypoint: str) -> None:
    await at_rest(both)
    found = await continued(both, 2, waypoint=waypoint)
    await both.append(an_append(an_item(3), waypoint=waypoint), at_second=4)
    assert not await both.store.go_on([found], "mine", None, at(5))
    [document] = (await both.other.claim("promoter", at(6), at(66), 10)).documents
    assert pending(document, waypoint) == [an_item(3).statement]
    assert document["processing"]["revision"] == 2


async def test_it_does_not_land_where_a_recalculation_asks_something(both: Both) -> None:
    progress = await at_rest(both)
    found = await continued(both, 2, waypoint=WAYPOINTS[1])
    await both.append(replace(an_append(an_item(3), waypoint=WAYPOINTS[1]), replay="chunk"), at_second=4)
    assert await both.store.go_on([found], "mine", None, at(5)) == {progress}
    document = await both.only()
    assert pending(document, WAYPOINTS[1]) == [an_item(3).statement]
    assert document["processing"]["replay"]


async def test_trap_7_it_does_not_land_where_evidence_was_found_under_a_newer_version(both: Both) -> None:
    progress = await at_rest(both)
    found = await continued(both, 2)
    await both.append(an_append(an_item(3), version=2), at_second=4)
    assert await both.store.go_on([found], "mine", None, at(5)) == {progress}
    assert (await both.only())["processing"]["version"] == 2


async def test_the_same_again_lands_nothing_twice(both: Both) -> None:
    await at_rest(both)
    found = await continued(both, 2)
    for _time in range(2):
        assert not await both.store.go_on([found], "mine", LEASE, at(5))
    claim = await both.other.claim_events("other", at(61), at(121), 10)
    assert claim.outboxes == {found.progress: (found.promotion.event,)}
    assert (await both.only())["processing"]["revision"] == 2


async def test_r1_an_idle_outbox_is_claimed_and_another_is_marked(both: Both) -> None:
    await at_rest(both, "idle")
    busy = await at_rest(both, "busy", is_idle=False)
    found = [await continued(both, 2, "idle"), await continued(both, 2, "busy")]
    assert [it.is_idle for it in found] == [True, False]
    assert not await both.store.go_on(found, "mine", LEASE, at(30))
    numbers = {it["_id"]: it["processing"]["handed"]["number"] for it in await both.all()}
    assert numbers == {found[0].progress: LEASE.number, busy: 3}
    assert not (await both.other.claim_events("none", at(31), at(91), 10)).outboxes  # both are still held
    held = await both.other.claim_events("held", at(62), at(122), 10)
    assert {it.revision for it in held.outboxes[busy]} == {1, 2}
    assert [it.revision for it in held.outboxes[found[0].progress]] == [2]


async def test_r1_what_landed_and_was_claimed_by_a_promoter_since_is_known_by_its_outbox(both: Both) -> None:
    await at_rest(both, "ana")
    await at_rest(both, "ben")
    mine, late = await continued(both, 2), await continued(both, 2, "ben")
    assert not await both.store.go_on([mine], "mine", LEASE, at(5))
    await both.append(an_append(an_item(3)), an_append(an_item(3), owner="ben"), at_second=6)
    await both.other.claim("promoter", at(7), at(67), 10)
    assert await both.store.go_on([mine, late], "mine", LEASE, at(8)) == {late.progress}


async def test_only_what_nobody_is_at_is_read(both: Both) -> None:
    free, busy, claimed = [await at_rest(both, owner) for owner in ("free", "busy", "claimed")]
    await both.append(an_append(an_item(3), owner="claimed"), at_second=2)
    await both.other.claim("promoter", at(3), at(63), 10)
    await both.append(an_append(an_item(3), owner="busy"), at_second=4)
    documents = await both.store.at_rest([free, busy, claimed, ObjectId()])
    assert list(documents) == [free]
    assert documents[free]["processing"]["revision"] == 1
    assert documents[free]["lockKey"] == "begun-free"
    assert await both.store.at_rest([]) == {}
    assert await both.store.go_on([], "nobody", None, at(1)) == frozenset()


async def test_i1_a_document_that_would_be_too_large_is_named_unless_the_others_may_be_lost(
    mongo_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mongod tells of one that is too large, and of a majority that did not acknowledge the others, in one error."""
    store, unmet, failed = MongoProgressStore(mongo_database), list[dict[str, Any]](), list[dict[str, Any]]()
    found = await at_rest_and_continued(Both(store, store, MongoProgressReader(mongo_database), none))

    async def too_large(*_: object, **__: object) -> object:
        refused = {"index": 0, "code": 17419, "op": {"q": {"_id": found.progress}}}
        raise BulkWriteError({"writeErrors": [refused, *failed], "writeConcernErrors": unmet, "nMatched": 0})

    monkeypatch.setattr(store._progresses, "bulk_write", too_large)
    assert await store.go_on([found], "mine", None, at(5)) == {found.progress}
    unmet.append({"code": 64, "errmsg": "waiting for replication timed out"})
    with pytest.raises(StoreUnavailable):
        await store.go_on([found], "mine", None, at(5))
    unmet.clear()
    failed.append({"index": 1, "code": 189})
    with pytest.raises(StoreUnavailable):
        await store.go_on([found], "mine", None, at(5))


async def test_a_document_that_is_gone_did_not_land(both: Both) -> None:
    found = replace(await at_rest_and_continued(both), lock_key="nobody's")
    gone = replace(found, append=replace(found.append, progress=ObjectId()))
    assert await both.store.go_on([found, gone], "mine", LEASE, at(5)) == {found.progress, gone.progress}


async def none() -> list[Mapping[str, Any]]:
    return []


async def at_rest_and_continued(both: Both) -> Continuation:
    await at_rest(both)
    return await continued(both)
