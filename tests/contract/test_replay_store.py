"""One contract for `ports.ReplayStore`: what a recalculation asks of progress documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from bson import ObjectId
from msgspec.structs import replace

from processor.core.evidence import CROWDED, Append, Retraction
from processor.ports.progress import ProgressReader, ProgressStore
from processor.ports.recalculation import ReplayStore, Waking
from processor.store.progress import MongoProgressStore
from processor.store.reader import MongoProgressReader
from processor.store.replays import MongoReplayStore
from processor.testing.database import MemoryDatabase
from processor.testing.recalculations import MemoryReplayStore
from processor.testing.store import MemoryProgressStore
from tests.builders import JOURNEY, WAYPOINTS, a_promotion, a_reference, an_append, an_item, at

OTHER_JOURNEY = ObjectId("69c23527bdf9ac67b2ab5ee6")


@dataclass(frozen=True, slots=True)
class Replaying:
    """The replay store, and the live one beside it."""

    replays: ReplayStore
    live: ProgressStore
    reader: ProgressReader

    async def only(self) -> Mapping[str, Any]:
        [document] = [document async for document in self.reader.find()]
        return document

    async def held(self, waypoint: str = WAYPOINTS[0]) -> list[ObjectId]:
        document = await self.only()
        return [entry["statement"] for entry in document["pendingProgress"][waypoint]["statements"]]


@pytest.fixture(params=["memory", pytest.param("mongo", marks=pytest.mark.servers)])
def both(request: pytest.FixtureRequest) -> Replaying:
    if request.param == "memory":
        memory = MemoryDatabase()
        return Replaying(MemoryReplayStore(memory), MemoryProgressStore(memory), MemoryProgressStore(memory))
    database = request.getfixturevalue("mongo_database")
    return Replaying(MongoReplayStore(database), MongoProgressStore(database), MongoProgressReader(database))


def a_retraction(*numbers: int, owner: str = "ana", version: int = 1, replay: str = "chunk") -> Retraction:
    statements = {WAYPOINTS[0]: tuple(map(a_reference, numbers))}
    return Retraction(an_append(owner=owner).progress, version, statements, replay)


async def test_replayed_evidence_is_pending_and_not_due(both: Replaying) -> None:
    await both.replays.append([replace(an_append(an_item(1), version=3), replay="chunk")], [], at(0))
    document = await both.only()
    assert await both.held() == [a_reference(1)]
    assert document["processing"]["replay"] == [{"key": "chunk", "version": 3}]
    assert "due" not in document["processing"]
    assert not (await both.live.claim("key", at(1), at(61), 10)).documents


async def test_much_of_one_owner_is_due_at_once_so_that_there_is_always_room(both: Replaying) -> None:
    def found(first: int, owner: str) -> Append:
        return replace(an_append(*map(an_item, range(first, first + CROWDED)), owner=owner), replay=f"chunk-{first}")

    await both.replays.append([found(0, "kiosk"), found(0, "ana")], [], at(0))
    assert not (await both.live.claim("early", at(1), at(61), 10)).documents
    await both.replays.append([found(1, "kiosk"), found(0, "ana")], [], at(2))
    [document] = (await both.live.claim("key", at(3), at(63), 10)).documents
    assert document["_id"] == found(0, "kiosk").progress


async def test_live_evidence_beside_it_is_due_at_once(both: Replaying) -> None:
    await both.replays.append([replace(an_append(an_item(1)), replay="chunk")], [], at(0))
    await both.live.append([an_append(an_item(2))], [], at(1))
    [document] = (await both.live.claim("key", at(2), at(62), 10)).documents
    assert len(document["processing"]["replay"]) == 1


async def test_a_retraction_leaves_pending_at_once_and_tells_its_version(both: Replaying) -> None:
    await both.live.append([an_append(an_item(1), an_item(2))], [], at(0))
    await both.replays.retract([a_retraction(1, 7, version=4)])
    document = await both.only()
    assert await both.held() == [a_reference(2)]
    assert document["processing"]["version"] == 4  # a promoter that knows less has to look again (trap 7)
    [entry] = document["processing"]["replay"]
    assert entry == {"key": "chunk", "version": 4, "retract": {WAYPOINTS[0]: [a_reference(1), a_reference(7)]}}


async def test_i2_asking_twice_asks_once(both: Replaying) -> None:
    for _ in range(2):
        await both.replays.append([replace(an_append(an_item(1)), replay="chunk")], [], at(0))
        await both.replays.retract([a_retraction(5)])
    assert len((await both.only())["processing"]["replay"]) == 2


async def test_a_retraction_from_a_document_that_is_gone_makes_none(both: Replaying) -> None:
    await both.replays.retract([a_retraction(1)])
    assert [document async for document in both.reader.find()] == []


async def test_pending_evidence_of_a_later_version_is_not_taken_back(both: Replaying) -> None:
    """It may match under that; and under that all is recalculated again. What is counted is for the fold to judge."""
    await both.live.append([an_append(an_item(1), version=2)], [], at(0))
    await both.replays.retract([a_retraction(1, version=1)])
    document = await both.only()
    assert await both.held() == [a_reference(1)]
    assert document["processing"]["version"] == 2
    assert [entry["version"] for entry in document["processing"]["replay"]] == [1]


async def test_retracting_nothing_is_nothing(both: Replaying) -> None:
    await both.replays.retract([])
    await both.replays.append([], [], at(0))
    assert [document async for document in both.reader.find()] == []


async def test_what_a_retraction_takes_may_come_back_after_it(both: Replaying) -> None:
    """Of two decisions about a statement the later one holds: it is pending, whatever was retracted before."""
    await both.live.append([an_append(an_item(1))], [], at(0))
    await both.replays.retract([a_retraction(1)])
    await both.replays.append([replace(an_append(an_item(1)), replay="later")], [], at(1))
    assert await both.held() == [a_reference(1)]


async def test_p2_p3_a_promotion_consumes_exactly_the_entries_that_it_read(both: Replaying) -> None:
    await both.live.append([an_append(an_item(1))], [], at(0))
    await both.replays.retract([a_retraction(5, replay="read")])
    claim = await both.live.claim("key", at(1), at(61), 10)
    await both.replays.retract([a_retraction(6, replay="unread")])
    [document] = claim.documents
    promotion = replace(a_promotion(document, an_item(1)), replayed=tuple(document["processing"]["replay"]))
    assert (await both.live.apply(claim, [promotion], at(2))).landed == 1
    assert [entry["key"] for entry in (await both.only())["processing"]["replay"]] == ["unread"]


async def test_p1_a_fenced_promotion_consumes_no_entry(both: Replaying) -> None:
    await both.live.append([an_append(an_item(1))], [], at(0))
    await both.replays.retract([a_retraction(5)])
    late = await both.live.claim("late", at(1), at(61), 10)
    await both.live.claim("taken", at(62), at(122), 10)
    [document] = late.documents
    promotion = replace(a_promotion(document), replayed=tuple(document["processing"]["replay"]))
    assert (await both.live.apply(late, [promotion], at(63))).fenced == 1
    assert len((await both.only())["processing"]["replay"]) == 1


async def test_holders_are_of_the_journey_alone(both: Replaying) -> None:
    mine = an_append(owner="ana")
    other = replace(an_append(owner="ben"), journey=OTHER_JOURNEY)
    await both.live.append([mine, other], [], at(0))
    found = [it async for it in both.replays.holders(JOURNEY, {mine.progress, other.progress, ObjectId()})]
    assert [document["_id"] for document in found] == [mine.progress]
    assert found[0]["pendingProgress"]


async def test_waking_marks_no_more_than_asked_and_ends_when_all_is_folded(both: Replaying) -> None:
    for name in "abcde":
        await both.replays.append([replace(an_append(owner=name), replay="chunk")], [], at(0))
    await both.live.append([an_append(owner="live")], [], at(0))
    assert await both.replays.wake(JOURNEY, 3, at(1)) == Waking(3, 3)
    assert await both.replays.wake(JOURNEY, 3, at(2)) == Waking(3, 0)
    assert await both.replays.wake(OTHER_JOURNEY, 3, at(2)) == Waking(0, 0)
    for second in (3, 5, 7):
        await folded(both, second)
        await both.replays.wake(JOURNEY, 3, at(second + 1))
    assert await both.replays.wake(JOURNEY, 3, at(9)) == Waking(0, 0)


async def test_what_a_promoter_has_in_hand_is_waited_for_and_not_marked(both: Replaying) -> None:
    """A document whose promotion fails again and again must not look like work that moves."""
    await both.replays.append([replace(an_append(), replay="chunk")], [], at(0))
    await both.replays.wake(JOURNEY, 3, at(1))
    assert len((await both.live.claim("key", at(2), at(62), 10)).documents) == 1
    assert await both.replays.wake(JOURNEY, 3, at(3)) == Waking(1, 0)


async def folded(both: Replaying, second: int) -> None:
    claim = await both.live.claim(f"fold-{second}", at(second), at(second + 60), 10)
    promotions = [
        replace(a_promotion(it, an_item(1)), replayed=tuple(it["processing"].get("replay", ())))
        for it in claim.documents
    ]
    await both.live.apply(claim, promotions, at(second))


async def test_what_waits_for_its_journey_is_not_woken(both: Replaying) -> None:
    await both.live.append([an_append()], [], at(0))
    claim = await both.live.claim("key", at(1), at(61), 10)
    waits = [a_promotion(it, has_event=False, processing={"waiting": True}) for it in claim.documents]
    await both.live.apply(claim, waits, at(2))
    await both.replays.append([replace(an_append(an_item(2)), replay="chunk")], [], at(3))
    assert await both.replays.wake(JOURNEY, 3, at(4)) == Waking(0, 0)
    assert await both.live.mark_due({JOURNEY: 1}, at(5)) == 1
    assert await both.replays.wake(JOURNEY, 3, at(6)) == Waking(1, 0)
