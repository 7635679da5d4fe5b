"""Journeys, written over HTTP."""

import asyncio
from typing import Any

import pytest
from bson import ObjectId

from processor.core.revision import known_journey
from processor.store.connect import JOURNEYS
from tests.builders import JOURNEY, ORGANISATION
from tests.integration.api.world import OTHER, Api, a_progress, a_stored_journey

PATH = "/api/v2/journey"
CONDITIONS = {"statement.verb.id": "http://example.org/did"}
NEW: dict[str, Any] = {
    "description": "Onboarding",
    "isActive": True,
    "waypoints": [{"description": "a", "conditions": CONDITIONS, "count": 2}, {"conditions": '{"a": 1}'}],
    "colour": {"of": "the certificate"},
}


async def created(api: Api, **changes: Any) -> dict[str, Any]:
    answer = await api.send("POST", PATH, NEW | changes)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_a_new_journey_gets_ids_and_the_callers_organisation(api: Api) -> None:
    sent = {"_id": "1" * 24, "__v": 3, "organisation": str(OTHER), "version": 9, "createdAt": "2016-01-01T00:00:00Z"}
    journey = await created(api, **sent)
    assert journey["_id"] != "1" * 24
    assert journey["organisation"] == str(ORGANISATION)
    assert journey["version"] == 1
    assert journey["createdAt"] == journey["updatedAt"] == "2026-01-01T10:00:00.000Z"
    assert journey["colour"] == {"of": "the certificate"}
    assert "__v" not in journey
    first, second = journey["waypoints"]
    assert first["conditions"] == CONDITIONS
    assert second["conditions"] == {"a": 1}
    assert first["id"] == first["_id"] != second["_id"]
    assert (first["order"], second["order"]) == (0, 1)
    assert (await api.get(f"{PATH}/{journey['_id']}")).json() == journey
    stored = await api.database[JOURNEYS].find_one({"_id": ObjectId(journey["_id"])})
    assert stored is not None
    assert isinstance(stored["waypoints"][0]["conditions"], str), "as Learning Locker keeps them"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST"])
async def test_a_change_is_merged(api: Api, method: str) -> None:
    journey = await created(api)
    answer = await api.send(method, f"{PATH}/{journey['_id']}", {"description": "Renamed", "colour": {"is": "red"}})
    assert answer.status_code == 200
    changed = answer.json()
    assert changed["description"] == "Renamed"
    assert changed["colour"] == {"of": "the certificate", "is": "red"}
    assert changed["waypoints"] == journey["waypoints"]
    assert changed["version"] == 1
    assert changed["updatedAt"] > journey["updatedAt"]
    assert (await api.get(f"{PATH}/{journey['_id']}")).json() == changed


@pytest.mark.parametrize(
    "change",
    [
        {"waypoints": [{"conditions": CONDITIONS}]},
        {"isSequential": True},
        {"isRepeatable": True},
        {"trackBy": "persona"},
        {"sources": ["59c236a0bdf9ac67b2ab5ee7"]},
    ],
    ids=str,
)
async def test_the_version_grows_with_what_is_computed(api: Api, change: dict[str, Any]) -> None:
    journey = await created(api)
    changed = (await api.send("PATCH", f"{PATH}/{journey['_id']}", change)).json()
    assert changed["version"] == 2
    again = (await api.send("PATCH", f"{PATH}/{journey['_id']}", change | {"version": 77})).json()
    assert again["version"] == (3 if "waypoints" in change else 2)  # waypoints without ids are new ones


async def test_null_is_the_same_as_left_out(api: Api) -> None:
    journey = await created(api, isRepeatable=True)
    nothing = dict.fromkeys(("waypoints", "outcomes", "isActive", "isRepeatable", "sources", "trackBy", "description"))
    answer = await api.send("PATCH", f"{PATH}/{journey['_id']}", nothing)
    assert (answer.status_code, answer.json()) == (200, journey)
    changed = (await api.send("PATCH", f"{PATH}/{journey['_id']}", {**nothing, "colour": None})).json()
    assert changed == {**journey, "colour": None, "updatedAt": changed["updatedAt"]}, "what is not ours is stored"
    assert (await created(api, **nothing))["waypoints"] == []


@pytest.mark.parametrize(("before", "after"), [(1, True), (False, 0), ({"b": 1, "c": 2}, {"c": 2, "b": 1})])
async def test_what_python_takes_for_the_same_is_saved(api: Api, before: Any, after: Any) -> None:
    journey = await created(api, waypoints=[{"conditions": {"a": before}}], colour={"is": before})
    path = f"{PATH}/{journey['_id']}"
    [waypoint] = journey["waypoints"]

    asked = await api.send("PATCH", path, {"waypoints": [{**waypoint, "conditions": {"a": after}}]})
    assert asked.json()["version"] == 2
    await api.send("PATCH", path, {"colour": {"is": None}})
    await api.send("PATCH", path, {"colour": {"is": before}})
    await api.send("PATCH", path, {"colour": {"is": after}})

    read = (await api.get(path)).json()
    assert repr(read["waypoints"][0]["conditions"]) == repr({"a": after})
    assert repr(read["colour"]["is"]) == repr(after if not isinstance(after, dict) else before), "objects are merged"


async def test_what_was_read_may_come_back(api: Api) -> None:
    journey = await created(api)
    assert (await api.send("PUT", f"{PATH}/{journey['_id']}", journey)).json() == journey


async def test_the_status_of_a_recalculation_is_not_the_callers_to_write(api: Api) -> None:
    status = {"inProgress": True, "totalCount": 5}
    stored = a_stored_journey(recalculateStatus=status)
    await api.has_journeys(stored)
    sent = {"recalculateStatus": {"inProgress": False}, "description": "new"}
    changed = (await api.send("PATCH", f"{PATH}/{stored['_id']}", sent)).json()
    assert changed["description"] == "new"
    assert changed["recalculateStatus"]["inProgress"] is False  # nobody is at work, whatever is stored
    kept = await api.database[JOURNEYS].find_one({"_id": stored["_id"]})
    assert kept is not None
    assert kept["recalculateStatus"] == status


FAULTS = [
    ({"waypoints": [{"conditions": {"$where": "1"}}]}, "waypoints[0].conditions.$where"),
    ({"waypoints": [{"conditions": {"a": {"$regex": "(?=x)"}}}]}, "waypoints[0].conditions.a.$regex"),
    ({"waypoints": [{"conditions": "{"}]}, "waypoints[0].conditions"),
    ({"waypoints": [{"conditions": '{"a": 100000000000000000000}'}]}, "waypoints[0].conditions: $.a"),
    ({"waypoints": [{"conditions": '{"$comment": -100000000000000000000}'}]}, "waypoints[0].conditions: $.$comment"),
    ({"waypoints": [{"conditions": '{"a": "\\ud800"}'}]}, "waypoints[0].conditions: $.a"),
    ({"waypoints": [{}, {"count": 0}]}, "waypoints[1].count"),
    ({"waypoints": [{"_id": "x"}]}, "waypoints[0]._id"),
    ({"waypoints": [{"_id": "1" * 24}, {"id": "1" * 24}]}, "waypoints[1]._id"),
    ({"waypoints": 5}, "waypoints"),
    ({"isActive": "yes"}, "isActive"),
    ({"trackBy": "cookies"}, "trackBy"),
    ({"sources": ["x"]}, "sources[0]"),
    ({"colour": {"$set": 1}}, "colour.$set"),
    ({"$set": {"organisation": "x"}}, "$set"),
    ({"organisation.x": 1}, "organisation.x"),
    ({"\N{MIDDLE DOT}work": []}, "\N{MIDDLE DOT}work"),
    ({"waypoints": [{"count": 2**64 - 1}]}, "waypoints: an attempt of 1 waypoints"),
]


@pytest.mark.parametrize(("change", "path"), FAULTS, ids=str)
async def test_a_fault_is_refused_with_its_path(api: Api, change: dict[str, Any], path: str) -> None:
    for method, where in (("POST", PATH), ("PATCH", f"{PATH}/{(await created(api))['_id']}")):
        answer = await api.send(method, where, change)
        assert answer.status_code == 400, answer.text
        assert path in answer.json()["message"]


async def test_a_broken_journey_can_be_mended(api: Api) -> None:
    broken = a_stored_journey(version=4)
    broken["waypoints"][0]["count"] = "three"
    await api.has_journeys(broken)
    mended = await api.send("PATCH", f"{PATH}/{broken['_id']}", {"waypoints": [{"conditions": CONDITIONS}]})
    assert mended.status_code == 200, mended.text
    assert mended.json()["version"] == 5


@pytest.mark.parametrize(
    ("broken", "version"),
    [
        ({"version": 0}, 6),
        ({"version": "3"}, 6),
        ({"version": 7, "createdAt": "yesterday", "updatedAt": {}}, 7),
        ({"version": None, "trackBy": "person"}, 6),
    ],
    ids=str,
)
async def test_what_only_the_server_writes_is_mended_with_the_next_change(
    api: Api, broken: dict[str, Any], version: int
) -> None:
    await api.has_journeys(a_stored_journey(_id=JOURNEY) | broken)
    await api.has_progress(a_progress(processing={"folded": 5}))
    mended = await api.send("PATCH", f"{PATH}/{JOURNEY}", {"trackBy": "actor"})
    assert mended.status_code == 200, mended.text
    assert mended.json()["version"] == version
    [stored] = await api.database[JOURNEYS].find().to_list()
    assert known_journey(stored) is not None
    assert (await api.send("PATCH", f"{PATH}/{JOURNEY}", {"description": "x"})).json()["version"] == version


async def test_a_journey_grows_up_to_a_limit(api: Api) -> None:
    path = f"{PATH}/{(await created(api))['_id']}"
    assert (await api.send("PATCH", path, {"a": "x" * 990_000})).status_code == 200
    grown = (await api.send("PATCH", path, {"b": "x" * 990_000})).json()
    refused = await api.send("PATCH", path, {"c": "x" * 990_000})
    assert refused.status_code == 400, refused.text
    assert "2000000 fit" in refused.json()["message"]
    assert (await api.get(path)).json() == grown
    assert (await api.send("PATCH", path, {"b": ""})).status_code == 200
    spelled = {"waypoints": [{"conditions": {"a": "\N{PARTY POPPER}" * 250_000}}]}
    assert "2000000 fit" in (await api.send("POST", PATH, spelled)).json()["message"]


async def test_removing(api: Api) -> None:
    journey = await created(api)
    answer = await api.send("DELETE", f"{PATH}/{journey['_id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await api.send("DELETE", f"{PATH}/{journey['_id']}")).status_code == 404
    assert (await api.send("PATCH", f"{PATH}/{journey['_id']}", {})).status_code == 404
    everything = await api.send("DELETE", PATH)
    assert everything.status_code == 400
    assert everything.json()["message"] == "API does not allow bulk deletions"


async def test_of_changes_at_once_none_is_lost(api: Api) -> None:
    journey = await created(api)
    changes = [{"notes": {f"n{number}": number}} for number in range(4)]
    answers = await asyncio.gather(*(api.send("PATCH", f"{PATH}/{journey['_id']}", change) for change in changes))
    assert [answer.status_code for answer in answers] == [200] * 4
    now = (await api.get(f"{PATH}/{journey['_id']}")).json()
    assert now["notes"] == {f"n{number}": number for number in range(4)}


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        (None, b"{}", 400),
        ("text/plain", b"{}", 400),
        ("application/json", b"", 400),
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b'"\xff"', 400),
        ("application/json", b"[" * 100_000, 400),
        ("application/json", b'{"x":"' + b"y" * 1_048_576 + b'"}', 413),
        ("application/json; charset=utf-8", b"{}", 201),
    ],
    ids=lambda it: str(it)[:30],
)
async def test_bodies(api: Api, kind: str | None, content: bytes, status: int) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = await api.http.post(PATH, content=content, headers=headers, auth=("mine", "5" * 40))
    assert answer.status_code == status, answer.text
