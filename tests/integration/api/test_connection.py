"""Cursor pages: Learning Locker's shape, Relay's paging."""

from base64 import b64decode, b64encode
from typing import Any

import orjson
import pytest

from processor.store.connect import PROGRESSES
from tests.builders import JOURNEY, at
from tests.integration.api.world import Api, a_progress, a_stored_journey

PATH = "/api/connection/journeyProgress"


def ids(page: Any) -> list[int]:
    return [int(edge["node"]["_id"], 16) for edge in page["edges"]]


def cursor(**values: Any) -> str:
    return b64encode(orjson.dumps(values)).decode()


async def test_an_empty_page(api: Api) -> None:
    answer = await api.get(PATH)
    assert answer.status_code == 200
    assert answer.json() == {
        "edges": [],
        "pageInfo": {"startCursor": "e30=", "endCursor": "e30=", "hasNextPage": False, "hasPreviousPage": False},
    }


async def test_a_page_is_ten_documents_by_id_and_its_cursors_are_learning_lockers(api: Api) -> None:
    await api.has_progress(*(a_progress(number) for number in range(1, 13)))
    page = (await api.get(PATH)).json()
    assert ids(page) == list(range(1, 11))
    assert page["edges"][0]["cursor"] == page["pageInfo"]["startCursor"] == cursor(_id=f"{1:024x}")
    assert page["pageInfo"] == {
        "startCursor": cursor(_id=f"{1:024x}"),
        "endCursor": cursor(_id=f"{10:024x}"),
        "hasNextPage": True,
        "hasPreviousPage": False,
    }
    rest = (await api.get(PATH, after=page["pageInfo"]["endCursor"])).json()
    assert ids(rest) == [11, 12]
    assert rest["pageInfo"]["hasNextPage"] is False
    assert rest["pageInfo"]["hasPreviousPage"] is True


@pytest.mark.parametrize(
    ("window", "expected", "next_page", "previous_page"),
    [
        ({"first": 2}, [1, 2], True, False),
        ({"last": 2}, [4, 5], False, True),
        ({"last": 9}, [1, 2, 3, 4, 5], False, False),
        ({"before": 4}, [1, 2, 3], True, False),
        ({"before": 5, "last": 2}, [3, 4], True, True),
        ({"before": 5, "first": 2}, [1, 2], True, False),
        ({"after": 2}, [3, 4, 5], False, True),
        ({"after": 1, "before": 5, "last": 2}, [3, 4], True, True),
        ({"after": 1, "before": 5, "first": 9}, [2, 3, 4], False, True),
        ({"first": 4, "last": 2}, [3, 4], True, True),
        ({"first": 0, "last": 2}, [4, 5], False, True),
        ({"first": ""}, [1, 2, 3, 4, 5], False, False),
        ({"after": "e30="}, [1, 2, 3, 4, 5], False, False),
    ],
)
async def test_first_last_after_and_before(
    api: Api, window: dict[str, Any], expected: list[int], next_page: bool, previous_page: bool
) -> None:
    await api.has_progress(*(a_progress(number) for number in range(1, 6)))
    asked = {
        name: cursor(_id=f"{value:024x}") if name in ("after", "before") and isinstance(value, int) else value
        for name, value in window.items()
    }
    page = (await api.get(PATH, **asked)).json()
    assert ids(page) == expected
    assert page["pageInfo"]["hasNextPage"] is next_page
    assert page["pageInfo"]["hasPreviousPage"] is previous_page


SORTS = [
    {"updatedAt": 1},
    {"updatedAt": -1},
    {"completedAt": -1},
    {"completedAt": 1, "updatedAt": -1},
    {"owner.ident.account.name": 1},
    {"owner.ident": -1},
    {"isCompleted": -1, "duration": "asc"},
    {"duration": -1},
    {"nothing": 1},
]


@pytest.mark.parametrize("sort", SORTS, ids=str)
async def test_every_sort_pages_both_ways_over_missing_values_and_mixed_types(api: Api, sort: dict[str, Any]) -> None:
    idents: list[Any] = [{"mbox": "mailto:a@b.c"}, JOURNEY, {"account": {"name": "x"}}, {"account": {"name": 5}}, None]
    durations: list[Any] = [None, 1, 2.5, 2**40, "long"]
    await api.has_progress(
        *(
            a_progress(
                number,
                updatedAt=at(number % 3),
                duration=durations[number % 5],
                isCompleted=number % 2 == 0,
                owner={"trackBy": "actor", "ident": idents[number % 5]},
                **({"completedAt": at(number % 2)} if number % 3 else {}),
            )
            for number in range(1, 20)
        )
    )
    whole = ids((await api.get(PATH, sort=sort, first=100)).json())
    assert sorted(whole) == list(range(1, 20))

    forwards: list[int] = []
    page = (await api.get(PATH, sort=sort, first=3)).json()
    while page["edges"]:
        forwards += ids(page)
        page = (await api.get(PATH, sort=sort, first=3, after=page["pageInfo"]["endCursor"])).json()
    assert forwards == whole

    backwards: list[int] = []
    page = (await api.get(PATH, sort=sort, last=4)).json()
    while page["edges"]:
        backwards = ids(page) + backwards
        page = (await api.get(PATH, sort=sort, last=4, before=page["pageInfo"]["startCursor"])).json()
    assert backwards == whole


async def test_a_cursor_of_learning_locker_without_the_id_is_taken(api: Api) -> None:
    await api.has_progress(*(a_progress(number) for number in range(1, 4)))
    after = cursor(updatedAt="2026-01-01T10:00:02.000Z")
    assert ids((await api.get(PATH, sort={"updatedAt": 1}, after=after)).json()) == [3]


@pytest.mark.parametrize(
    ("sort", "after", "expected"),
    [
        ({"_id": 1, "updatedAt": -1}, {"_id": f"{2:024x}", "updatedAt": "2026-01-01T10:00:09.000Z"}, [3, 4]),
        ({"completedAt": 1, "_id": 1}, {"_id": f"{1:024x}"}, [2, 3, 4]),
        ({"completedAt": -1, "_id": -1}, {"_id": f"{2:024x}"}, [1]),
        ({"completedAt": 1, "updatedAt": 1}, {"updatedAt": "2026-01-01T10:00:02.000Z"}, [3, 4]),
        ({"isCompleted": 1, "completedAt": 1}, {"isCompleted": False}, [3, 4]),
    ],
    ids=str,
)
async def test_cursors_of_learning_locker_have_what_the_sort_names_and_the_document_has(
    api: Api, sort: dict[str, Any], after: dict[str, Any], expected: list[int]
) -> None:
    await api.has_progress(a_progress(1), a_progress(2), *(a_progress(n, completedAt=at(n)) for n in (3, 4)))
    answer = await api.get(PATH, sort=sort, after=cursor(**after))
    assert answer.status_code == 200, answer.text
    assert ids(answer.json()) == expected


@pytest.mark.parametrize(
    ("sort", "after", "why"),
    [
        ({"_id": 1}, {"_id": f"{1:024x}", "updatedAt": "2026-01-01T10:00:02.000Z"}, "'updatedAt' is not in this one"),
        ({"_id": 1, "updatedAt": 1}, {"updatedAt": "2026-01-01T10:00:02.000Z"}, "lacks the value of '_id'"),
        ({"_id": 1, "updatedAt": 1}, {"_id": f"{1:024x}", "x": 1}, "'x' is not in this one"),
        ({"completedAt": 1}, {"_id": f"{1:024x}"}, "lacks the value of 'completedAt'"),
        ({"completedAt": 1, "updatedAt": 1, "_id": 1}, {"_id": f"{1:024x}"}, "lacks the value of 'updatedAt'"),
    ],
    ids=str,
)
async def test_cursors_of_another_sort_are_refused(
    api: Api, sort: dict[str, Any], after: dict[str, Any], why: str
) -> None:
    answer = await api.get(PATH, sort=sort, after=cursor(**after))
    assert answer.status_code == 400
    assert why in answer.json()["message"]


async def test_a_sort_by_what_no_cursor_can_hold_is_refused_at_once(api: Api) -> None:
    await api.has_journeys(a_stored_journey(description="d" * 6_200))
    answer = await api.get("/api/connection/journey", sort={"description": 1})
    assert answer.status_code == 400
    assert "description holds a value too long" in answer.json()["message"]
    assert len((await api.get("/api/connection/journey")).json()["edges"]) == 1


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"_id": {"$oid": f"{2:024x}"}}, [2]),
        ({"_id": f"{2:024x}"}, [2]),
        ({"_id": {"$in": [f"{1:024x}", {"$oid": f"{3:024x}"}]}}, [1, 3]),
        ({"journey": str(JOURNEY), "isCompleted": True}, [3]),
        ({"owner.ident.mbox": "mailto:o2@example.org"}, [2]),
        ({"owner": {"$exists": True}, "updatedAt": {"$gte": {"$dte": "2026-01-01T10:00:02Z"}}}, [2, 3]),
        ({"updatedAt": {"$not": {"$gte": "2026-01-01T10:00:02.000Z"}}}, [1]),
        ({"$or": [{"completions.completedAt": {"$gt": "2026-01-01"}}, {"_id": f"{1:024x}"}]}, [1, 3]),
        ({"completions": {"$elemMatch": {"isCompleted": True, "completedAt": {"$dte": at(3).isoformat()}}}}, [3]),
        ({"completions": {"$elemMatch": {"$comment": "x", "completedAt": {"$gte": "2026-01-01T10:00:03Z"}}}}, [3]),
        ({"owner.ident.mbox": {"$regex": "^MAILTO:O1@", "$options": "i"}, "$comment": "ignored"}, [1]),
        ({"owner.ident.mbox": {"$options": "ui", "$regex": "^MAILTO:O1@"}}, [1]),
        ({"owner.ident.mbox": {"$not": {"$regex": "O1@", "$options": "iu"}}}, [2, 3]),
        ({"owner.ident.mbox": {"$regularExpression": {"pattern": "O1@", "options": "iu"}}}, [1]),
        ({"organisation": "5a0000000000000000000001"}, []),
        ({}, [1, 2, 3]),
    ],
    ids=str,
)
async def test_filters(api: Api, asked: dict[str, Any], expected: list[int]) -> None:
    completion = {"waypoints": {}, "isCompleted": True, "completedAt": at(3)}
    await api.has_progress(
        a_progress(1), a_progress(2), a_progress(3, isCompleted=True, completedAt=at(3), completions=[completion])
    )
    answer = await api.get(PATH, filter=asked)
    assert answer.status_code == 200, answer.text
    assert ids(answer.json()) == expected


@pytest.mark.parametrize(
    ("project", "node"),
    [
        ({"isCompleted": 1}, {"_id": f"{1:024x}", "isCompleted": False}),
        ({"isCompleted": True, "_id": False}, {"isCompleted": False}),
        ({"owner.trackBy": 1, "_id": 0}, {"owner": {"trackBy": "actor"}}),
        ({"who": "$owner.ident.mbox", "_id": 0}, {"who": "mailto:o1@example.org"}),
        ({"owner": {"ident": {"mbox": 1}}, "_id": 0}, {"owner": {"ident": {"mbox": "mailto:o1@example.org"}}}),
        ({"_id": 1}, {"_id": f"{1:024x}"}),
        ({"_id": "$owner.trackBy"}, {"_id": "actor"}),
        ({"_id": "$owner.trackBy", "isCompleted": 1}, {"_id": "actor", "isCompleted": False}),
    ],
    ids=str,
)
async def test_projections_leave_the_cursor_whole(api: Api, project: dict[str, Any], node: dict[str, Any]) -> None:
    await api.has_progress(a_progress(1))
    [edge] = (await api.get(PATH, project=project, sort={"updatedAt": 1})).json()["edges"]
    assert edge["node"] == node
    assert orjson.loads(b64decode(edge["cursor"])) == {"updatedAt": "2026-01-01T10:00:01.000Z", "_id": f"{1:024x}"}


async def test_a_projection_by_what_is_not_wanted(api: Api) -> None:
    await api.has_progress(a_progress(1))
    [edge] = (await api.get(PATH, project={"owner": 0, "_id": 0, "pendingProgress": 0})).json()["edges"]
    assert set(edge["node"]) == {
        "journey",
        "organisation",
        "createdAt",
        "updatedAt",
        "lockKey",
        "isCompleted",
        "completions",
    }


async def test_what_is_the_processors_own_is_never_shown(api: Api) -> None:
    await api.has_progress(a_progress(1, strange="hidden, too"))
    for project in ({}, {"owner": 0}, {"isCompleted": 1}, {"strange": 1}, {"x": "$strange"}):
        assert "hidden" not in (await api.get(PATH, project=project)).text
    assert (await api.get("/api/v2/journeyProgress", distinct="strange")).json() == []
    questions: list[dict[str, Any]] = [
        {"project": {"x": "$processing.secret"}},
        {"sort": {"processing.secret": 1}},
        {"filter": {"processing.secret": "hidden"}},
    ]
    for asked in questions:
        answer = await api.get(PATH, **asked)
        assert answer.status_code == 400, asked
        assert "processing" in answer.json()["message"]


async def test_pages_are_capped(api: Api) -> None:
    await api.has_progress(*(a_progress(number) for number in range(1, 1_003)))
    assert len((await api.get(PATH, first=2**31 - 1)).json()["edges"]) == 1_000
    assert len((await api.get(PATH, last=5_000)).json()["edges"]) == 1_000


async def test_hints(api: Api) -> None:
    await api.has_progress(a_progress(1))
    for hint in ("organisation_id", {"organisation": 1, "_id": 1}):
        assert ids((await api.get(PATH, hint=hint)).json()) == [1]
    asked = {"owner.ident.mbox": "mailto:o1@example.org"}
    for hint in ("owner_ident", {"owner.ident.$**": 1}):
        assert ids((await api.get(PATH, hint=hint, filter=asked)).json()) == [1]
    assert (await api.get(PATH, hint="nothing_like_it")).status_code == 400


async def test_no_hint_names_an_index_that_lacks_documents_or_is_hidden(api: Api) -> None:
    await api.has_progress(a_progress(1))
    indexes = await api.database[PROGRESSES].index_information()
    hidden = {name: dict(index["key"]) for name, index in indexes.items() if "processing" in str(index["key"])}
    assert len(hidden) > 4
    for hint in [*hidden, *hidden.values()]:
        answer = await api.get(PATH, hint=hint)
        assert answer.status_code == 400, hint
        assert answer.json()["message"].endswith("is not a field of journeyProgress")


async def test_journeys_are_paged_too(api: Api) -> None:
    await api.has_journeys(a_stored_journey(), a_stored_journey(organisation="5a0000000000000000000001"))
    [edge] = (await api.get("/api/connection/journey", filter={"isActive": True})).json()["edges"]
    waypoint = edge["node"]["waypoints"][0]
    assert waypoint["conditions"] == {"statement.verb.id": "http://example.org/did"}
    assert waypoint["id"] == waypoint["_id"]


@pytest.mark.parametrize("path", ["/API/Connection/JOURNEYPROGRESS", "/api/connection/journeyprogress/"])
async def test_paths_match_case_insensitively(api: Api, path: str) -> None:
    assert (await api.get(path)).status_code == 200
