"""Learning Locker's REST interface, read."""

from collections.abc import Sequence
from typing import Any

import pytest

from processor.api import rest
from processor.core.queries import Found
from processor.store.queries import MongoQueryReader
from tests.builders import JOURNEY, ORGANISATION, at
from tests.integration.api.world import OTHER, Api, a_progress, a_stored_journey

PATH = "/api/v2/journeyProgress"


def ids(documents: Any) -> list[int]:
    return [int(document["_id"], 16) for document in documents]


async def test_one_document_as_the_seed_shows_it(api: Api) -> None:
    await api.has_progress(a_progress(1))
    answer = await api.get(f"{PATH}/{1:024x}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert document["_id"] == f"{1:024x}"
    assert document["journey"] == str(JOURNEY)
    assert document["organisation"] == str(ORGANISATION)
    assert document["updatedAt"] == "2026-01-01T10:00:01.000Z"
    assert document["lockKey"] == "571bf02f-d41b-4b31-972d-f092845af816"
    assert "processing" not in document
    selected = await api.get(f"{PATH}/{1:024x}", select="isCompleted,-_id")
    assert selected.json() == {"isCompleted": False}


@pytest.mark.parametrize("key", [f"{9:024x}", "nonsense", "1" * 25, "%00"])
async def test_an_unknown_id_is_404(api: Api, key: str) -> None:
    answer = await api.get(f"{PATH}/{key}")
    assert answer.status_code == 404
    assert set(answer.json()) == {"errorId", "message"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [1, 2, 3, 4]),
        ({"sort": "-updatedAt"}, [4, 3, 2, 1]),
        ({"sort": {"isCompleted": -1, "_id": -1}}, [4, 2, 3, 1]),
        ({"skip": 1, "limit": 2}, [2, 3]),
        ({"limit": 0}, [1, 2, 3, 4]),
        ({"query": {"updatedAt": ">2026-01-01T10:00:02Z"}}, [3, 4]),
        ({"query": {"updatedAt": "<=2026-01-01T10:00:02Z"}}, [1, 2]),
        ({"query": {"duration": ">=30"}}, [3, 4]),
        ({"query": {"isCompleted": "true"}}, [2, 4]),
        ({"query": {"_id": f"!={1:024x}"}}, [2, 3, 4]),
        ({"query": {"_id": [f"{1:024x}", f"{3:024x}"]}}, [1, 3]),
        ({"query": {"owner.ident.mbox": "~O[12]@"}}, [1, 2]),
        ({"query": {"owner.ident.mbox": ["~^MAILTO:O1@", "mailto:o3@example.org"]}}, [1, 3]),
        ({"query": {"$or": [{"owner.ident.mbox": ["~O[24]@"]}, {"_id": [f"{1:024x}"]}]}}, [1, 2, 4]),
        ({"query": {"owner.ident.mbox": {"$in": ["~O1", "!=", "mailto:o3@example.org"]}}}, [3]),
        ({"query": {"owner.ident.mbox": {"$not": "~O[12]@"}}}, [3, 4]),
        ({"query": {"$or": [{"duration": "<20"}, {"duration": "!=10", "isCompleted": True}]}}, [1, 2, 4]),
    ],
    ids=str,
)
async def test_lists_and_counts(api: Api, asked: dict[str, Any], expected: list[int]) -> None:
    await api.has_progress(*(a_progress(n, duration=n * 10, isCompleted=n % 2 == 0) for n in range(1, 5)))
    answer = await api.get(PATH, **asked)
    assert answer.status_code == 200, answer.text
    assert ids(answer.json()) == expected
    counted = await api.get(f"{PATH}/count", **{name: asked[name] for name in asked if name == "query"})
    assert counted.json() == {"count": 4 if "query" not in asked else len(expected)}


@pytest.mark.parametrize("item", [">5", ">=5", "<5", "<=5", "!=5"])
async def test_what_compares_cannot_be_one_of_a_list(api: Api, item: str) -> None:
    for query in ({"duration": [3, item]}, {"$or": [{"completions": {"$elemMatch": {"duration": [item]}}}]}):
        for path in (PATH, f"{PATH}/count"):
            answer = await api.get(path, query=query)
            assert answer.status_code == 400, query
            assert answer.json()["message"].startswith(f"query: duration: {item!r} compares, and cannot be one of")


async def test_count_passes_over_what_is_skipped(api: Api) -> None:
    await api.has_progress(*(a_progress(number) for number in range(1, 5)))
    assert (await api.get(f"{PATH}/count", skip=3)).json() == {"count": 1}


async def test_distinct_values_are_the_organisations_own(api: Api) -> None:
    await api.has_progress(a_progress(1), a_progress(2, organisation=OTHER, journey=OTHER), a_progress(3))
    assert (await api.get(PATH, distinct="journey")).json() == [str(JOURNEY)]
    assert (await api.get(PATH, distinct="updatedAt")).json() == [
        "2026-01-01T10:00:01.000Z",
        "2026-01-01T10:00:03.000Z",
    ]
    assert (await api.get(PATH, distinct="organisation", query={"journey": str(JOURNEY)})).json() == [str(ORGANISATION)]
    assert (await api.get(PATH, distinct="processing.secret")).status_code == 400


async def test_lists_are_capped(api: Api) -> None:
    await api.has_progress(*(a_progress(number) for number in range(1, 1_003)))
    assert len((await api.get(PATH)).json()) == 1_000
    assert len((await api.get(PATH, limit=5_000)).json()) == 1_000
    assert (await api.get(f"{PATH}/count")).json() == {"count": 1_002}


async def test_a_list_that_is_too_large_is_refused_and_not_read_to_its_end(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []
    find = MongoQueryReader.find

    async def watched(*asked: Any) -> Sequence[Found]:
        documents = await find(*asked)
        found.append(len(documents))
        return documents

    monkeypatch.setattr(MongoQueryReader, "find", watched)
    monkeypatch.setattr(rest, "LIST_BYTES", 10_000)
    await api.has_progress(*(a_progress(number, lockKey="x" * 1_000) for number in range(1, 21)))
    refused = await api.get(PATH)
    assert refused.status_code == 400
    for remedy in ("limit", "select", "/api/connection/journeyProgress"):
        assert remedy in refused.json()["message"]
    assert found.pop() < 10
    assert ids((await api.get(PATH, limit=5)).json()) == [1, 2, 3, 4, 5]
    assert len((await api.get(PATH, select="owner")).json()) == 20
    assert len((await api.get(PATH, distinct="lockKey")).json()) == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", [PATH, f"{PATH}/{1:024x}"])
async def test_progress_is_derived_and_not_written(api: Api, method: str, path: str) -> None:
    await api.has_progress(a_progress(1))
    answer = await api.send(method, path, {"isCompleted": True})
    assert answer.status_code == 405
    assert set(answer.json()) == {"errorId", "message"}
    assert (await api.get(f"{PATH}/{1:024x}")).json()["isCompleted"] is False


@pytest.mark.parametrize(
    "conditions", ["{not json", '{"a": 100000000000000000000}', '{"a": "\\ud800"}', '{"a":' * 300 + "1" + "}" * 300]
)
async def test_a_journey_that_is_broken_in_the_database_is_shown_as_it_stands(api: Api, conditions: str) -> None:
    journey = a_stored_journey(strange={"since": at(0)})
    journey["waypoints"][0]["conditions"] = conditions
    await api.has_journeys(journey)
    [shown] = (await api.get("/api/v2/journey")).json()
    assert shown["waypoints"][0]["conditions"] == conditions
    assert shown["strange"] == {"since": "2026-01-01T10:00:00.000Z"}
