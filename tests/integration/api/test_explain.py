"""Why a statement counts, or why not, over HTTP."""

import threading
from typing import Any

import pytest
from bson import ObjectId

from processor.api import explain
from processor.core.explain import EFFORT
from processor.core.identity import statement_reference
from processor.store.connect import STATEMENTS
from tests.builders import ORGANISATION, WAYPOINTS, a_statement, a_statement_record, at
from tests.integration.api.world import SECRET, Api, a_progress, a_stored_journey

PATH = "/api/explain"
JOURNEY: dict[str, Any] = {
    "isActive": True,
    "waypoints": [
        {"conditions": {"statement.verb.id": "http://example.org/did"}, "order": 1},
        {
            "conditions": {"$or": [{"statement.result.score.raw": {"$gte": 6}}, {"statement.verb.id": "x"}]},
            "order": 0,
            "count": 2,
        },
    ],
}

BIG: dict[str, Any] = {"waypoints": [{"conditions": '{"a": {"$gt": 100000000000000000000}}'}]}
LONG: dict[str, Any] = {"waypoints": [{"conditions": {"a": {"$numberLong": "100000000000000000000"}}}]}


async def test_clause_by_clause(api: Api) -> None:
    body = {"journey": JOURNEY, "statement": a_statement(result={"score": {"raw": 5}})}
    answer = await api.send("POST", PATH, body)
    assert answer.status_code == 200, answer.text
    second, first = answer.json()["waypoints"]
    assert (first["matches"], first["isEvidence"], first["obstacles"]) == (True, True, [])
    assert first["clauses"] == [
        {
            "operator": "$eq",
            "path": "statement.verb.id",
            "asked": "http://example.org/did",
            "found": ["http://example.org/did"],
            "verdict": True,
        }
    ]
    assert (second["matches"], second["isEvidence"], second["count"]) == (False, False, 2)
    [either] = second["clauses"]
    assert either["operator"] == "$or"
    assert [(part["found"], part["verdict"]) for part in either["clauses"]] == [
        ([5], False),
        (["http://example.org/did"], False),
    ]


async def test_a_waypoint_that_is_only_tried_keeps_its_id(api: Api) -> None:
    named = [{"id": WAYPOINTS[0]}, {"_id": WAYPOINTS[1]}, {"_id": WAYPOINTS[2], "id": WAYPOINTS[3]}]
    waypoints = [{**JOURNEY["waypoints"][0], **names} for names in named]
    body = {"journey": {**JOURNEY, "waypoints": waypoints}, "statement": a_statement()}
    answer = await api.send("POST", PATH, body)
    assert answer.status_code == 200, answer.text
    assert [it["waypoint"] for it in answer.json()["waypoints"]] == list(WAYPOINTS[:3])


async def test_a_statement_without_a_time_is_taken_to_arrive_now(api: Api) -> None:
    statement = {name: value for name, value in a_statement().items() if name != "timestamp"}
    answer = await api.send("POST", PATH, {"journey": JOURNEY, "statement": statement})
    assert answer.json()["timestamp"] == "2026-01-01T10:00:00.000Z"


async def test_where_it_stands_in_the_learners_progress(api: Api) -> None:
    journey = a_stored_journey()
    await api.has_journeys(journey)
    body = {"journey": str(journey["_id"]), "statement": a_statement()}
    [standing] = (await api.send("POST", PATH, body)).json()["waypoints"][0]["progress"]
    assert (standing["place"], standing["isNew"]) == ("nowhere", True)
    key = ObjectId(standing["progress"])
    pending = {WAYPOINTS[0]: {"statements": [{"statement": a_statement_reference(), "timestamp": at(0)}]}}
    await api.has_progress(a_progress(_id=key, journey=journey["_id"], pendingProgress=pending))
    [standing] = (await api.send("POST", PATH, body)).json()["waypoints"][0]["progress"]
    assert (standing["place"], standing["isNew"], standing["outcome"]) == ("pending", False, "counted")

    foreign = await api.send("POST", PATH, {**body, "journey": {**JOURNEY, "_id": str(journey["_id"])}}, key="theirs")
    assert all(it["place"] == "nowhere" for waypoint in foreign.json()["waypoints"] for it in waypoint["progress"])


def a_statement_reference() -> ObjectId:
    return statement_reference(a_statement()["id"])


async def test_by_ids(api: Api) -> None:
    journey, statement = a_stored_journey(), dict(a_statement_record(1).document)
    await api.has_journeys(journey)
    await api.database[STATEMENTS].insert_one(statement)
    for name in (str(statement["_id"]), {"$oid": str(statement["_id"])}, statement["statement"]["id"]):
        answer = await api.send("POST", PATH, {"journey": str(journey["_id"]), "statement": name})
        assert answer.status_code == 200, answer.text
        explained = answer.json()
        assert explained["journey"] == str(journey["_id"])
        assert explained["statement"] == str(statement["_id"])
        assert explained["waypoints"][0]["isEvidence"] is True


async def test_a_statement_by_its_xapi_id_is_found_without_an_index(api: Api) -> None:
    spelled = "6690E6C9-3EF0-4ED3-8B37-7F3964730BEE"
    one = dict(a_statement_record(1).document) | {"_id": statement_reference(spelled)}
    await api.database[STATEMENTS].insert_one(one)
    await api.database.command("profile", 2)
    answers = [
        await api.send("POST", PATH, {"journey": JOURNEY, "statement": name}) for name in (spelled, spelled.lower())
    ]
    await api.database.command("profile", 0)
    assert [answer.json()["statement"] for answer in answers] == [str(one["_id"])] * 2
    looked = api.database["system.profile"].find({"ns": f"{api.database.name}.{STATEMENTS}", "op": "query"})
    assert not [it["planSummary"] async for it in looked if "COLLSCAN" in it["planSummary"]]
    await api.database["system.profile"].drop()


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title])
async def test_a_statement_of_learning_locker_by_its_xapi_id(api: Api, spell: Any) -> None:
    document = dict(a_statement_record(1).document) | {"_id": ObjectId()}
    document["statement"] = {**document["statement"], "id": spell(document["statement"]["id"])}
    await api.database[STATEMENTS].insert_one(document)
    for name in {document["statement"]["id"], *([] if spell is str.title else [a_statement()["id"]])}:
        answer = await api.send("POST", PATH, {"journey": JOURNEY, "statement": name})
        assert answer.status_code == 200, answer.text
        assert answer.json()["statement"] == str(document["_id"])


async def test_what_stands_in_the_way(api: Api) -> None:
    store = str(ObjectId())
    journey = {**JOURNEY, "isActive": False, "sources": [store]}
    document = {
        "_id": str(ObjectId()),
        "organisation": str(ORGANISATION),
        "lrs_id": str(ObjectId()),
        "voided": True,
        "statement": a_statement(),
    }
    answer = await api.send("POST", PATH, {"journey": journey, "statement": document})
    assert {"journey-inactive", "other-store", "voided"} <= set(answer.json()["waypoints"][1]["obstacles"])


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({}, 400, "journey"),
        ({"journey": "x", "statement": {}}, 400, "journey"),
        ({"journey": JOURNEY}, 400, "statement"),
        ({"journey": JOURNEY, "statement": "x"}, 400, "statement"),
        ({"journey": JOURNEY, "statement": {}}, 400, "statement"),
        ({"journey": JOURNEY, "statement": {"statement": a_statement()}}, 400, "_id"),
        ({"journey": JOURNEY, "statement": {"specversion": "1.0", "data": [a_statement()] * 2}}, 400, "one statement"),
        ({"journey": JOURNEY, "statement": {"specversion": "1.0", "data": []}}, 400, "one statement, not 0"),
        ({"journey": {"waypoints": [{"conditions": {"$where": 1}}]}, "statement": a_statement()}, 400, "waypoints[0]"),
        ({"journey": BIG, "statement": a_statement()}, 400, "waypoints[0].conditions: $.a.$gt"),
        ({"journey": LONG, "statement": a_statement()}, 400, "waypoints[0].conditions.a.$numberLong"),
        ({"journey": "1" * 24, "statement": a_statement()}, 404, "there is no journey"),
        ({"journey": JOURNEY, "statement": "1" * 24}, 404, "there is no statement"),
    ],
    ids=str,
)
async def test_what_cannot_be_explained(api: Api, body: dict[str, Any], status: int, why: str) -> None:
    answer = await api.send("POST", PATH, body)
    assert answer.status_code == status, answer.text
    assert why in answer.json()["message"]


@pytest.mark.parametrize("depth", [100, 300, 1_000])
async def test_a_statement_that_is_nested_too_deeply(api: Api, depth: int) -> None:
    content = b'{"journey": {}, "statement": ' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
    answer = await api.http.post(
        PATH, content=content, headers={"Content-Type": "application/json"}, auth=("mine", SECRET)
    )
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("statement: ")


@pytest.mark.parametrize("depth", [50, 300, 900, 1_000])
@pytest.mark.parametrize(
    "written",
    [
        '{"journey": %s, "statement": {}}',
        '{"journey": {"owner": %s}, "statement": {}}',
        '{"journey": {"owner": {"a": %s}}, "statement": {}}',
        '{"journey": {"sources": [%s]}, "statement": {}}',
        '{"journey": {"createdAt": %s}, "statement": {}}',
        '{"journey": {"waypoints": [{"_id": %s, "conditions": {}}]}, "statement": {}}',
        '{"journey": {"waypoints": [{"conditions": %s}]}, "statement": {}}',
        '{"journey": {"outcomes": [{"deactivatedAt": %s}]}, "statement": {}}',
        '{"journey": {}, "statement": %s}',
        '{"journey": {}, "statement": {"$oid": %s}}',
    ],
)
async def test_what_is_nested_too_deeply(api: Api, written: str, depth: int) -> None:
    """As deep as JSON is read, which is deeper than Python prints."""
    content = (written % ("[" * depth + "]" * depth)).encode()
    answer = await api.http.post(
        PATH, content=content, headers={"Content-Type": "application/json"}, auth=("mine", SECRET)
    )
    assert answer.status_code == 400, answer.text


def a_long_one(values: int, waypoints: int) -> dict[str, Any]:
    """A statement with a long array, and a journey with that many clauses on it."""
    context = {"extensions": {"http://example.org/long": list(range(values))}}
    asked = {"statement.context.extensions.http://example&46;org/long": -1}
    return {
        "statement": a_statement(context=context),
        "journey": {"waypoints": [{"conditions": asked} for _ in range(waypoints)]},
    }


async def test_what_was_found_is_shortened(api: Api) -> None:
    answer = await api.send("POST", PATH, a_long_one(5_000, 100))
    assert answer.status_code == 200, answer.text
    [clause] = answer.json()["waypoints"][99]["clauses"]
    assert clause["found"] == [[*range(10), "… and 4990 more"]]


async def test_more_than_anybody_may_ask_for_is_refused(api: Api) -> None:
    answer = await api.send("POST", PATH, a_long_one(EFFORT // 100, 100))
    assert answer.status_code == 400
    assert "fewer waypoints at a time" in answer.json()["message"]


async def test_it_is_done_beside_the_event_loop(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def watched(function: Any) -> Any:
        def called(*arguments: Any) -> Any:
            threads.append(threading.current_thread())
            return function(*arguments)

        return called

    for name in ("compile_journey", "decode", "explained", "render_explanation"):
        monkeypatch.setattr(explain, name, watched(getattr(explain, name)))
    answer = await api.send("POST", PATH, {"journey": JOURNEY, "statement": a_statement()})
    assert answer.status_code == 200, answer.text
    assert len(threads) == 4
    assert threading.current_thread() not in threads
