"""One contract for `ports.ProgressReader`."""

from typing import Any

from bson import ObjectId
from msgspec.structs import replace

from tests.builders import JOURNEY, ORGANISATION, an_append, at
from tests.contract.stores import Both

OTHER = ObjectId("5a0000000000000000000001")


async def found(both: Both, **wanted: Any) -> list[ObjectId]:
    return [document["_id"] async for document in both.reader.find(**wanted)]


async def test_the_last_updated_comes_first_and_no_more_than_asked(both: Both) -> None:
    ids = [an_append(owner=name).progress for name in "abc"]
    for number, name in enumerate("abc"):
        await both.append(an_append(owner=name), at_second=number)
    assert await found(both) == ids[::-1]
    assert await found(both, limit=2) == ids[:0:-1]


async def test_each_condition_confines(both: Both) -> None:
    mine = an_append()
    foreign = replace(mine, progress=ObjectId(), organisation=OTHER)
    elsewhere = replace(mine, progress=ObjectId(), journey=OTHER)
    await both.append(mine, foreign, elsewhere)
    assert set(await found(both, organisation=ORGANISATION)) == {mine.progress, elsewhere.progress}
    assert set(await found(both, journey=JOURNEY)) == {mine.progress, foreign.progress}
    assert await found(both, organisation=ORGANISATION, journey=JOURNEY) == [mine.progress]
    assert await found(both, identity=foreign.progress) == [foreign.progress]


async def test_a_progress_of_another_organisation_is_not_found_by_its_id(both: Both) -> None:
    foreign = replace(an_append(), organisation=OTHER)
    await both.append(foreign)
    assert await found(both, organisation=ORGANISATION, identity=foreign.progress) == []


async def test_dates_are_aware(both: Both) -> None:
    await both.append(an_append())
    assert (await both.only())["createdAt"] == at(0)
    assert (await both.only())["createdAt"].tzinfo is not None
