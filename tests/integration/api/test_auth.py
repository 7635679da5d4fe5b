"""Every route against every wrong credential, scope and organisation."""

from base64 import b64encode
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from argon2 import PasswordHasher
from bson import ObjectId

from processor.store.connect import CLIENTS, JOURNEYS, ORGANISATIONS, PROGRESSES, STATEMENTS
from tests.builders import ORGANISATION, a_statement_record
from tests.integration.api.world import (
    OTHER,
    SECRET,
    Api,
    FixedClock,
    a_client,
    a_progress,
    a_stored_journey,
    application,
)

KEY = f"{1:024x}"
DAY = timedelta(days=1)
READ = [
    ("GET", "/api/connection/journeyProgress"),
    ("GET", "/api/connection/journey"),
    ("GET", "/api/v2/journeyProgress"),
    ("GET", "/api/v2/journeyProgress/count"),
    ("GET", f"/api/v2/journeyProgress/{KEY}"),
    ("GET", "/api/v2/journey"),
    ("GET", "/api/v2/journey/count"),
    ("GET", f"/api/v2/journey/{KEY}"),
    ("POST", "/api/explain"),
]
WRITE = [
    ("POST", "/api/v2/journey"),
    ("POST", f"/api/v2/journey/{KEY}"),
    ("PUT", f"/api/v2/journey/{KEY}"),
    ("PATCH", f"/api/v2/journey/{KEY}"),
    ("DELETE", f"/api/v2/journey/{KEY}"),
    ("DELETE", "/api/v2/journey"),
    ("POST", f"/api/recalculatejourney?journeyId={KEY}"),
    ("POST", f"/api/cancelrecalculatejourney?journeyId={KEY}"),
]
OPEN = {"/health/live", "/health/ready", "/metrics"}


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


WRONG = [
    None,
    "",
    "Basic",
    "Basic !!!",
    basic("mine"),
    basic("weak:"),
    basic(f"weak:{SECRET}x"),
    basic(f"MINE:{SECRET}"),
    basic(f":{SECRET}"),
    basic(f"nobody:{SECRET}"),
    basic(f"distrusted:{SECRET}"),
    basic(f"homeless:{SECRET}"),
    basic("without:"),
    basic("ünknown:ünknown"),
    f"Bearer {SECRET}",
    basic(f"mine:{SECRET}").replace("Basic", "Digest"),
]


@pytest.fixture
async def strangers(api: Api) -> Api:
    without, weak = a_client("without"), a_client("weak")
    without["api"]["basic_secret"] = ""
    weak["api"]["basic_secret"] = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(SECRET)
    await api.database[CLIENTS].insert_many(
        [
            without,
            weak,
            a_client("distrusted", isTrusted=False),
            a_client("homeless", organisation="59198183d8ea540933227033"),  # type: ignore[arg-type]  # as found broken
            a_client("reader", scopes=("all/read",)),
            *(a_client(f"scope{n}", scopes=scopes) for n, scopes in enumerate(USELESS)),
        ]
    )
    return api


USELESS: list[tuple[str, ...]] = [
    (),
    ("xapi/all", "xapi/read", "statements/read"),
    ("ALL", "all/", "al"),
    ("statements/delete",),
]


async def asked(api: Api, method: str, path: str, authorization: str | None) -> httpx.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    return await api.http.request(method, path, json={}, headers=headers)


async def test_these_are_all_routes(api: Api) -> None:
    document = api.app.openapi()
    known = {(method, path.partition("?")[0].replace(KEY, "{key}")) for method, path in READ + WRITE}
    described = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert {it for it in described if it[1] not in OPEN} == known - {("DELETE", "/api/v2/journey")}


@pytest.mark.parametrize("authorization", WRONG, ids=str)
async def test_nobody_without_the_right_credentials(strangers: Api, authorization: str | None) -> None:
    for method, path in READ + WRITE:
        answer = await asked(strangers, method, path, authorization)
        assert answer.status_code == 401, (method, path)
        assert answer.text == "Unauthorized"
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.headers["www-authenticate"] == 'Basic realm="journey-progress", charset="UTF-8"'


@pytest.mark.parametrize("number", range(len(USELESS)))
async def test_nobody_without_a_scope(strangers: Api, number: int) -> None:
    for method, path in READ + WRITE:
        answer = await asked(strangers, method, path, basic(f"scope{number}:{SECRET}"))
        assert answer.status_code == 403, (method, path)
        assert answer.json()["message"] == "Priviliges not sufficient for this operation"
        assert UUID(answer.json()["errorId"]).version == 4


async def test_a_reader_reads_and_does_not_write(strangers: Api) -> None:
    for method, path in READ:
        assert (await asked(strangers, method, path, basic(f"reader:{SECRET}"))).status_code in (200, 404, 400)
    for method, path in WRITE:
        assert (await asked(strangers, method, path, basic(f"reader:{SECRET}"))).status_code == 403


@pytest.mark.parametrize(
    ("expiration", "is_over"),
    [(timedelta(seconds=-1), True), (timedelta(seconds=1), False), (None, False)],
    ids=["over", "to come", "none"],
)
async def test_nobody_of_an_organisation_that_has_expired(
    strangers: Api, expiration: timedelta | None, is_over: bool
) -> None:
    """As in Learning Locker (its behaviour, section 7.4); 401 comes before."""
    ends = None if expiration is None else FixedClock().now() + expiration
    await strangers.database[ORGANISATIONS].insert_one({"_id": ORGANISATION, "expiration": ends})
    await strangers.database[ORGANISATIONS].insert_one({"_id": OTHER, "expiration": FixedClock().now() - DAY})
    for method, path in READ + WRITE:
        answer = await asked(strangers, method, path, basic(f"mine:{SECRET}"))
        assert (answer.status_code == 403) is is_over, (method, path)
    assert (await asked(strangers, *READ[0], basic(f"mine:{SECRET}x"))).status_code == 401


async def test_health_and_metrics_are_open(api: Api) -> None:
    for path in OPEN:
        assert (await api.http.get(path)).status_code == 200


async def test_a_plain_secret_of_learning_locker_is_hashed_at_its_next_login(api: Api) -> None:
    client = a_client("plain")
    client["api"]["basic_secret"] = "a-plain-secret"
    await api.database[CLIENTS].insert_one(client)
    path = "/api/v2/journey"
    assert (await asked(api, "GET", path, basic("plain:a-plain-secretx"))).status_code == 401
    assert (await asked(api, "GET", path, basic("plain:a-plain-secret"))).status_code == 200
    stored = await api.database[CLIENTS].find_one({"_id": client["_id"]})
    assert stored is not None
    assert stored["api"]["basic_secret"].startswith("$argon2id$")
    for secret, status in (("a-plain-secret", 200), (stored["api"]["basic_secret"], 401)):
        assert (await asked(api, "GET", path, basic(f"plain:{secret}"))).status_code == status


async def test_keys_and_secrets_are_utf_8(api: Api) -> None:
    client = a_client("schlüssel")
    client["api"]["basic_secret"] = "pässwörd:☂"
    await api.database[CLIENTS].insert_one(client)
    path = "/api/v2/journey"
    for known in (api.app, application(api.settings, api.interfaces)):  # compared as it stands, then as a hash
        async with httpx.AsyncClient(transport=httpx.ASGITransport(known), base_url="http://api") as http:

            async def status(secret: str, http: httpx.AsyncClient = http) -> int:
                headers = {"Authorization": basic(f"schlüssel:{secret}")}
                return (await http.get(path, headers=headers)).status_code

            assert [await status(secret) for secret in ("pässwörd:☁", "pässwörd:☂", "passwörd:☂")] == [401, 200, 401]
    latin = b64encode("schlüssel:pässwörd".encode("latin-1")).decode()
    assert (await asked(api, "GET", path, f"Basic {latin}")).status_code == 401


async def test_a_revoked_client_and_a_changed_secret_are_out_at_once(api: Api) -> None:
    path = "/api/v2/journey"
    assert (await api.get(path)).status_code == 200
    await api.database[CLIENTS].update_one({"title": "mine"}, {"$set": {"api.basic_secret": "another"}})
    assert (await api.get(path)).status_code == 401
    assert (await asked(api, "GET", path, basic("mine:another"))).status_code == 200
    assert await api.interfaces.clients.revoke("mine", api.interfaces.clock.now())
    assert (await asked(api, "GET", path, basic("mine:another"))).status_code == 401


FOREIGN: list[dict[str, Any]] = [
    {},
    {"filter": {}},
    {"filter": {"_id": KEY}},
    {"filter": {"organisation": str(OTHER)}},
    {"filter": {"organisation": {"$ne": str(ORGANISATION)}}},
    {"filter": {"organisation": {"$exists": True}}},
    {"filter": {"$or": [{"organisation": str(OTHER)}, {"_id": {"$exists": True}}]}},
    {"filter": {"$nor": [{"organisation": str(ORGANISATION)}]}},
    {"filter": {"$and": [{"organisation": {"$in": [str(OTHER), str(ORGANISATION)]}}]}},
    {"filter": {"organisation": {"$not": {"$eq": str(ORGANISATION)}}}},
    {"project": {"organisation": 1}},
    {"project": {"organisation": 0}},
    {"project": {"organisation": "$_id", "x": "$organisation"}},
    {"sort": {"organisation": -1}},
    {"hint": {"_id": 1}},
    {"last": 100},
]


async def test_no_document_of_another_organisation_is_ever_reachable(api: Api) -> None:
    """Not by id, filter, projection, sort, cursor, hint or distinct; and none is ever changed."""
    statement = dict(a_statement_record(1).document) | {"_id": ObjectId(KEY), "organisation": OTHER}
    await api.has_progress(a_progress(1, organisation=OTHER))
    await api.has_journeys(a_stored_journey(_id=ObjectId(KEY), organisation=OTHER))
    await api.database[STATEMENTS].insert_one(statement)

    for model in ("journeyProgress", "journey"):
        theirs = (await api.get(f"/api/connection/{model}", key="theirs")).json()
        assert len(theirs["edges"]) == 1, "it is there, for those it belongs to"
        cursor = theirs["pageInfo"]["endCursor"]
        for question in [*FOREIGN, {"after": "e30="}, {"before": cursor}, {"after": cursor}]:
            answer = await api.get(f"/api/connection/{model}", **question)
            assert answer.json()["edges"] == [], question
            rest = {"query" if name == "filter" else name: value for name, value in question.items()}
            assert (await api.get(f"/api/v2/{model}", **rest)).json() == [], question
            assert (await api.get(f"/api/v2/{model}/count", **rest)).json() == {"count": 0}, question
            for path in ("_id", "organisation", "updatedAt"):
                assert (await api.get(f"/api/v2/{model}", distinct=path, **rest)).json() == [], question
        assert (await api.get(f"/api/v2/{model}/{KEY}")).status_code == 404

    before = [await api.database[name].find().to_list() for name in (PROGRESSES, JOURNEYS, STATEMENTS)]
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = await api.send(method, f"/api/v2/journey/{KEY}", {"description": "taken", "organisation": str(OTHER)})
        assert answer.status_code == 404, method
    for body in ({"journey": KEY, "statement": {}}, {"journey": {}, "statement": KEY}):
        assert (await api.send("POST", "/api/explain", body)).status_code == 404
    statement_id = {"journey": {}, "statement": statement["statement"]["id"]}
    assert (await api.send("POST", "/api/explain", statement_id)).status_code == 404
    assert before == [await api.database[name].find().to_list() for name in (PROGRESSES, JOURNEYS, STATEMENTS)]


async def test_a_journey_cannot_be_given_to_another_organisation(api: Api) -> None:
    made = (await api.send("POST", "/api/v2/journey", {"organisation": str(OTHER)})).json()
    assert made["organisation"] == str(ORGANISATION)
    moved = await api.send("PUT", f"/api/v2/journey/{made['_id']}", {"organisation": str(OTHER)})
    assert moved.json()["organisation"] == str(ORGANISATION)
    assert (await api.get(f"/api/v2/journey/{made['_id']}", key="theirs")).status_code == 404
