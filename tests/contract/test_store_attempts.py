"""One contract for `ports.ProgressStore`: attempts that leave their document, and whoever reads it."""

from collections.abc import Mapping
from typing import Any

from bson import ObjectId
from msgspec.structs import replace

from processor.core.completions import attempt_to
from processor.core.evidence import Promotion, Segment
from processor.core.fold import Attempt
from processor.store.connect import ATTEMPTS, Database
from processor.store.progress import MongoProgressStore
from processor.store.updates import SEGMENTS_KEPT
from tests.builders import WAYPOINTS, a_promotion, an_append, an_item, at
from tests.contract.stores import Both


def an_attempt(number: int) -> dict[str, Any]:
    """An attempt that item `number` completed."""
    item, [waypoint, *_] = an_item(number), WAYPOINTS
    return attempt_to(
        Attempt({waypoint: [item]}, {waypoint: 0}, {waypoint: item.timestamp}, completed_at=item.timestamp)
    )


def spilling(document: Mapping[str, Any], segment: ObjectId, *numbers: int, first: int = 0) -> Promotion:
    """A promotion by which the attempts of these numbers leave, and number 9 stays."""
    entry = {"segment": segment, "attempts": len(numbers)}
    known = document["processing"].get("spilled", [])
    promotion = a_promotion(document, processing={"spilled": [*known, entry]})
    return replace(
        promotion,
        changed={"completions": [an_attempt(9)]},
        segments=(Segment(segment, first, [an_attempt(number) for number in numbers]),),
        named=(*(it["segment"] for it in known), segment),
    )


async def test_a_reader_sees_all_attempts_in_their_order(both: Both) -> None:
    segments = [ObjectId(), ObjectId()]
    for number, segment in enumerate(segments):
        await both.append(an_append(an_item(number)), at_second=number * 100)
        claim = await both.store.claim(f"key{number}", at(number * 100 + 1), at(number * 100 + 61), 10)
        numbers = (2 * number, 2 * number + 1)
        applied = await both.store.apply(
            claim, [spilling(claim.documents[0], segment, *numbers, first=numbers[0])], at(number * 100 + 2)
        )
        assert applied.landed == 1
    assert (await both.only())["completions"] == [an_attempt(number) for number in (0, 1, 2, 3, 9)]
    assert await both.other.attempts([segments[1], ObjectId()]) == {segments[1]: [an_attempt(2), an_attempt(3)]}


async def test_p2_what_a_fenced_promotion_let_leave_is_no_part_of_the_document(both: Both) -> None:
    await both.append(an_append(an_item(1)))
    late = await both.store.claim("late", at(1), at(61), 10)
    await both.other.claim("taken", at(62), at(122), 10)
    applied = await both.store.apply(late, [spilling(late.documents[0], ObjectId(), 1, 2)], at(63))
    assert (applied.landed, applied.fenced) == (0, 1)
    assert (await both.only())["completions"] == []


async def test_trap_3_letting_attempts_leave_is_repeatable(both: Both) -> None:
    await both.append(an_append(an_item(1)))
    claim = await both.store.claim("key", at(1), at(61), 10)
    promotions = [spilling(claim.documents[0], ObjectId(), 1, 2)]
    assert (await both.store.apply(claim, promotions, at(2))).landed == 1
    assert (await both.store.apply(claim, promotions, at(3))).fenced == 1
    assert len((await both.only())["completions"]) == 3


async def test_what_no_document_names_goes_in_time_and_what_one_names_stays(mongo_database: Database) -> None:
    store = MongoProgressStore(mongo_database)
    append = an_append(an_item(1))
    await store.append([append], [], at(0))
    claim = await store.claim("key", at(1), at(61), 10)
    old, young, others, named = (ObjectId() for _ in range(4))
    kept = claim.until - SEGMENTS_KEPT
    await mongo_database[ATTEMPTS].insert_many(
        [
            {"_id": old, "progress": append.progress, "createdAt": kept.replace(year=kept.year - 1)},
            {"_id": young, "progress": append.progress, "createdAt": kept},
            {"_id": others, "progress": ObjectId(), "createdAt": kept.replace(year=kept.year - 1)},
            {"_id": named, "progress": append.progress, "createdAt": kept.replace(year=kept.year - 1)},
        ]
    )
    segment = ObjectId()
    promotion = spilling(claim.documents[0], segment, 1)
    await store.apply(claim, [replace(promotion, named=(named, segment))], at(2))
    assert {it["_id"] async for it in mongo_database[ATTEMPTS].find()} == {young, others, named, segment}
