"""Attempts that have left their document: the interfaces show them where they were."""

from typing import Any

import pytest
from bson import ObjectId

from processor.store.connect import ATTEMPTS
from tests.contract.test_store_attempts import an_attempt
from tests.integration.api.world import OTHER, Api, a_progress

REST, CONNECTION = "/api/v2/journeyProgress", "/api/connection/journeyProgress"


async def a_spilled_progress(api: Api, **changes: Any) -> None:
    """One of seven attempts, of which five have left it in two segments, and one of two, beside."""
    segments = [ObjectId("ff" * 12), ObjectId("ee" * 12)]  # not in the order of their ids
    spilled = [{"segment": key, "attempts": number} for key, number in zip(segments, (2, 3), strict=True)]
    processing = {"revision": 1, "spilled": spilled}
    completions = [an_attempt(number) for number in (5, 6)]
    await api.has_progress(
        a_progress(1, processing=processing, completions=completions, **changes), a_progress(2, completions=completions)
    )
    await api.database[ATTEMPTS].delete_many({})
    await api.database[ATTEMPTS].insert_many(
        [
            {"_id": segments[0], "first": 0, "attempts": [an_attempt(number) for number in (0, 1)]},
            {"_id": segments[1], "first": 2, "attempts": [an_attempt(number) for number in (2, 3, 4)]},
            {"_id": ObjectId(), "first": 0, "attempts": [an_attempt(7)]},  # a promotion that was fenced
        ]
    )


def times(document: Any) -> list[str]:
    """The seconds at which attempts were completed."""
    return [attempt["completedAt"][17:19] for attempt in document["completions"]]


SEVEN = [f"{number:02d}" for number in range(7)]


async def test_all_attempts_are_shown_in_their_order(api: Api) -> None:
    await a_spilled_progress(api)
    one = (await api.get(f"{REST}/{1:024x}")).json()
    assert times(one) == SEVEN
    assert "processing" not in one
    assert [times(document) for document in (await api.get(REST)).json()] == [SEVEN, SEVEN[5:]]
    edges = (await api.get(CONNECTION)).json()["edges"]
    assert [times(edge["node"]) for edge in edges] == [SEVEN, SEVEN[5:]]


async def test_where_a_segment_was_deleted_by_hand_a_document_is_shown_as_it_is(api: Api) -> None:
    await a_spilled_progress(api)
    await api.database[ATTEMPTS].delete_one({"_id": ObjectId("ee" * 12)})
    assert times((await api.get(f"{REST}/{1:024x}")).json()) == SEVEN[5:]
    edges = (await api.get(CONNECTION)).json()["edges"]
    assert [times(edge["node"]) for edge in edges] == [SEVEN[5:]] * 2


async def test_projections_mean_all_attempts(api: Api) -> None:
    await a_spilled_progress(api)
    [edge, _] = (await api.get(CONNECTION, project={"completions.completedAt": 1})).json()["edges"]
    assert times(edge["node"]) == SEVEN
    [edge, _] = (await api.get(CONNECTION, project={"ends": "$completions.completedAt"})).json()["edges"]
    assert len(edge["node"]["ends"]) == 7
    [edge, _] = (await api.get(CONNECTION, project={"completions": 0})).json()["edges"]
    assert "completions" not in edge["node"]
    [edge, _] = (await api.get(CONNECTION, project={"isCompleted": 1})).json()["edges"]
    assert set(edge["node"]) == {"_id", "isCompleted"}


async def test_the_attempts_of_others_stay_theirs(api: Api) -> None:
    await a_spilled_progress(api, organisation=OTHER)
    assert (await api.get(f"{REST}/{1:024x}")).status_code == 404
    assert [times(document) for document in (await api.get(REST)).json()] == [SEVEN[5:]]


async def a_progress_beyond_16_mb(api: Api, segments: int) -> None:
    """The second of three; the attempts that have left it take 4 MB a segment."""
    keys = [ObjectId() for _ in range(segments)]
    processing = {"revision": 1, "spilled": [{"segment": key, "attempts": 2} for key in keys]}
    await api.has_progress(
        a_progress(1), a_progress(2, processing=processing, completions=[an_attempt(6)]), a_progress(3)
    )
    await api.database[ATTEMPTS].delete_many({})
    await api.database[ATTEMPTS].insert_many(
        [{"_id": key, "first": 0, "attempts": [{**an_attempt(0), "big": "x" * 2_000_000}] * 2} for key in keys]
    )


async def test_more_attempts_than_a_document_may_take_are_counted_instead(api: Api) -> None:
    await a_progress_beyond_16_mb(api, 5)
    answer = await api.get(f"{REST}/{2:024x}")
    assert answer.status_code == 200, answer.text
    assert (times(answer.json()), answer.json()["completionsBefore"]) == (["06"], 10)
    nodes = [edge["node"] for edge in (await api.get(CONNECTION)).json()["edges"]]
    assert [node.get("completionsBefore") for node in nodes] == [None, 10, None]
    assert [set(it) for it in (await api.get(REST, select="completions")).json()] == [
        {"_id", "completions"},
        {"_id", "completions", "completionsBefore"},
        {"_id", "completions"},
    ]
    assert [len(it["completions"]) for it in (await api.get(REST, select="completions.completedAt")).json()] == [
        0,
        11,
        0,
    ]


@pytest.mark.parametrize(
    ("project", "before"),
    [
        ({"owner": 0}, 10),
        ({"completions": 0}, None),
        ({"completions": 1, "completionsBefore": "$isCompleted"}, False),
        ({"completions": 1, "completionsBefore.x": "$isCompleted"}, {"x": False}),
    ],
    ids=str,
)
async def test_projections_of_more_than_a_document_may_take(api: Api, project: dict[str, Any], before: Any) -> None:
    await a_progress_beyond_16_mb(api, 5)
    [_, edge, _] = (await api.get(CONNECTION, project=project)).json()["edges"]
    assert edge["node"].get("completionsBefore") == before


@pytest.mark.parametrize(("asked", "numbers"), [("first", [1, 2, 3]), ("last", [3, 4, 5])])
async def test_a_page_ends_before_it_is_very_large(api: Api, asked: str, numbers: list[int]) -> None:
    big = [{**an_attempt(0), "big": "x" * 9_000_000}]
    await api.has_progress(*(a_progress(number, completions=big) for number in range(1, 6)))
    parameters: dict[str, Any] = {asked: 4, "project": {"completions": 1}}
    page = (await api.get(CONNECTION, **parameters)).json()
    assert [int(edge["node"]["_id"], 16) for edge in page["edges"]] == numbers
    assert page["pageInfo"]["hasNextPage"] == (asked == "first")
    assert page["pageInfo"]["hasPreviousPage"] == (asked == "last")
    assert len((await api.get(CONNECTION, project={"completions": 0})).json()["edges"]) == 5
