"""Whatever comes in is answered: never a 500, never an unfiltered read."""

import asyncio
import random
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest
from limits import RateLimitItemPerMinute
from structlog.testing import capture_logs

from processor.api.secrets import AT_ONCE
from processor.api.server import outside
from processor.embedded.process import free_port
from processor.store.queries import MongoQueryReader
from tests.integration.api.world import SECRET, Api, a_client, a_progress, a_stored_journey, application

CONNECTION = "/api/connection/journeyProgress"
REST = "/api/v2/journeyProgress"


def cursor(value: Any) -> str:
    return b64encode(orjson.dumps(value)).decode()


BAD: list[tuple[str, str, str]] = [
    *(("filter", value, why) for value, why in (
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "JSON object"),
        ('"x"', "JSON object"),
        ("5", "JSON object"),
        ('{"$where": "sleep(1000)"}', "$where"),
        ('{"a": {"$where": "1"}}', "$where"),
        ('{"$expr": {"$function": {"body": "x", "args": [], "lang": "js"}}}', "$expr"),
        ('{"$and": [{"$nor": [{"$jsonSchema": {}}]}]}', "$jsonSchema"),
        ('{"$text": {"$search": "x"}}', "$text"),
        ('{"a": {"$near": [0, 0]}}', "$near"),
        ('{"a": {"$unknown": 1}}', "$unknown"),
        ('{"$lookup": {"from": "client"}}', "$lookup"),
        ('{"a": {"$elemMatch": {"$where": "1"}}}', "$where"),
        ('{"a": {"$not": {"$elemMatch": {"b": {"$expr": 1}}}}}', "$expr"),
        ('{"a": {"$regex": "(a+)+$(?!x)"}}', "regular expression"),
        ('{"a": {"$in": [{"$regex": "("}]}}', "$in"),
        (r'{"a": {"$regex": "(?i)\\pL{100}0"}}', "repeat less often"),
        ('{"a": {"$in": [' + ",".join(['{"$regex": "x"}'] * 21) + "]}}", "21 regular expressions"),
        ('{"_id": "nonsense"}', "nonsense"),
        ('{"_id": {"$oid": "nonsense"}}', "nonsense"),
        ('{"_id": {"$in": ["nonsense"]}}', "nonsense"),
        ('{"updatedAt": {"$gt": "yesterday"}}', "yesterday"),
        ('{"updatedAt": {"$gt": {"$dte": "yesterday"}}}', "yesterday"),
        ('{"duration": "long"}', "long"),
        ('{"isCompleted": "perhaps"}', "perhaps"),
        ('{"a..b": 1}', "empty part"),
        ('{"": 1}', "empty part"),
        ('{"processing": 1}', "processing"),
        ('{"processing.lease": null}', "processing"),
        ('{"$or": []}', "$or"),
        ('{"version": 18446744073709551615}', "MongoDB"),
        ('{"a\\u0000b": 1}', "path"),
        ("{" * 5_000, "not JSON"),
        ('{"a":' * 60 + "1" + "}" * 60, "nested"),
    )),
    *(("sort", value, "sort") for value in (
        "{", "[]", "1", '{"a": 2}', '{"a": true}', '{"a": {"$meta": "textScore"}}', '{"$natural": 1}', '{"": 1}',
        '{"processing.lease": 1}', orjson.dumps({f"f{n}": 1 for n in range(40)}).decode(),
    )),
    *(("project", value, "project") for value in (
        "{", "[]", '{"a": 2}', '{"a": {"$where": 1}}', '{"a": {"$function": {"body": "x"}}}', '{"a": "$$ROOT"}',
        '{"a": "$processing"}', '{"a": "$processing.secret"}', '{"processing": 1}', '{"a": {"$add": [1, 2]}}',
        '{"a": 1, "b": 0}', '{"a": "text"}', '{"a": [1]}', '{"a": null}', '{"a": {"$literal": 1}}',
    )),
    ("project", '{"a": 1, "a.b": 1}', "MongoDB"),
    *(("hint", value, "hint") for value in ("{", '{"a": "x"}', "[]", '{"$natural": 5}', "5.5e")),
    *(("first", value, "first") for value in ("x", "-1", "1.5", "1e3", "99999999999999999999", "NaN", "[]")),
    *(("last", value, "last") for value in ("x", "-1")),
    *((name, value, name) for name in ("after", "before") for value in (
        "x", "%%%", "e30", "ä", cursor([]), cursor(5), cursor(None), cursor({"a": 1}), cursor({"_id": "x"}),
        cursor({"_id": 5}), cursor({"_id": None}), cursor({"_id": {"$gt": ""}}), cursor({"_id": {"$oid": "x"}}),
        cursor({"_id": [1]}), b64encode(b"\xff\xfe").decode(), b64encode(b"{").decode(), "A" * 20_000,
    )),
]  # fmt: skip


@pytest.mark.parametrize("parameter", ["filter", "sort", "project", "hint", "first", "last", "after", "before"])
async def test_what_cannot_be_used_is_400_and_says_why(api: Api, parameter: str) -> None:
    await api.has_progress(a_progress(1))
    for value, why in [(value, why) for name, value, why in BAD if name == parameter]:
        answer = await api.get(CONNECTION, **{parameter: value})
        assert answer.status_code == 400, (value, answer.text)
        assert set(answer.json()) == {"errorId", "message"}
        assert why in answer.json()["message"], value
        if parameter == "filter":
            assert (await api.get(REST, query=value)).status_code == 400, value


async def test_a_slow_query_is_cut_and_answers_503(api: Api) -> None:
    await api.has_progress(*(a_progress(number) for number in range(1, 4_000)))
    impatient = MongoQueryReader(api.database, 0.001, api.interfaces.clock)
    app = application(api.settings, replace(api.interfaces, queries=impatient))
    slow = orjson.dumps({"owner.ident.mbox": {"$regex": "(o.*){5}x$"}}).decode()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as http:
        for path, parameter in ((CONNECTION, "filter"), (REST, "query"), (f"{REST}/count", "query")):
            answer = await http.get(path, params={parameter: slow}, auth=("mine", SECRET))
            assert answer.status_code == 503, path
            assert "took longer than 0.001 s" in answer.json()["message"]
            assert answer.headers["retry-after"] == "1"


async def test_a_rate_limit_holds_for_each_client(api: Api) -> None:
    app = application(api.settings, api.interfaces, http_rate_limit=3)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as http:
        statuses = [(await http.get("/api/v2/journey", auth=("mine", SECRET))).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        assert (await http.get("/api/v2/journey", auth=("theirs", SECRET))).status_code == 200


@pytest.mark.parametrize("key", ["theirs", "nobody"])
async def test_an_address_with_many_failed_logins_waits_and_who_is_known_does_not(
    api: Api, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr("processor.api.rates.FAILURES", RateLimitItemPerMinute(3))
    app = application(api.settings, api.interfaces, http_rate_limit=1_000)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as http:

        async def status(key: str, secret: str) -> int:
            return (await http.get("/api/v2/journey", auth=(key, secret))).status_code

        assert await status("mine", SECRET) == 200
        assert [await status(key, "wrong") for _ in range(5)] == [401, 401, 401, 429, 429]
        assert await status("theirs", SECRET) == 429, "no hash is computed for this address now"
        assert await status("nobody", SECRET) == 429
        assert await status("mine", SECRET) == 200


async def test_wrong_secrets_at_once_are_counted_one_by_one(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processor.api.rates.FAILURES", RateLimitItemPerMinute(3))
    app = application(api.settings, api.interfaces, http_rate_limit=1_000)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as http:

        async def statuses(secret: str) -> list[int]:
            asked = [http.get("/api/v2/journey", auth=("mine", secret)) for _ in range(12)]
            return sorted([answer.status_code for answer in await asyncio.gather(*asked)])

        assert await statuses(SECRET) == [200] * 12, "who is right only waits"
        compared = (await statuses("wrong")).count(401)
        assert 3 <= compared < 3 + AT_ONCE


async def test_cors_is_off_unless_set(api: Api) -> None:
    origin = {"Origin": "https://dashboard.example.org"}
    assert "access-control-allow-origin" not in (await api.http.get("/health/live", headers=origin)).headers
    app = application(api.settings, api.interfaces, http_cors_origins="https://dashboard.example.org, https://b.c")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as http:
        allowed = await http.get("/api/v2/journey", headers=origin)
        assert allowed.status_code == 401
        assert allowed.headers["access-control-allow-origin"] == "https://dashboard.example.org"
        refused = await http.get("/api/v2/journey", headers={"Origin": "https://evil.example.org"})
        assert "access-control-allow-origin" not in refused.headers


async def test_every_answer_carries_the_headers_and_is_logged_with_client_and_error_id(api: Api) -> None:
    with capture_logs() as logs:
        fine = await api.get(CONNECTION, filter={"owner.ident.mbox": "mailto:ana@example.org"})
        refused = await api.get(CONNECTION, key=None)
        lost = await api.get("/api/v2/nothing")
    for answer in (fine, refused, lost):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache, no-store, must-revalidate"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert [log["status"] for log in logs] == [200, 401, 404]
    assert logs[0]["client"] == str(a_client("mine")["_id"])
    assert "errorId" not in logs[0]
    assert logs[1]["client"] is None
    assert UUID(logs[1]["errorId"]).version == 4
    assert logs[2]["errorId"] == lost.json()["errorId"]
    assert "ana@example.org" not in str(logs), "what is asked for may be somebody's name"


async def test_requests_are_counted_by_route_and_never_by_id(api: Api) -> None:
    await api.get(f"{REST}/{1:024x}")
    await api.get("/api/nothing/like/it")
    metrics = (await api.http.get("/metrics")).text
    assert 'journey_progress_http_requests_total{route="/api/v2/journeyProgress/{key}",status="404"}' in metrics
    assert 'journey_progress_http_requests_total{route="none",status="404"}' in metrics
    assert f"{1:024x}" not in metrics


async def test_an_error_that_nobody_foresaw_is_500_with_its_id_and_nothing_else(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("the innards")

    monkeypatch.setattr(MongoQueryReader, "find", broken)
    with capture_logs() as logs:
        answer = await api.get(CONNECTION)
    assert answer.status_code == 500
    assert set(answer.json()) == {"errorId", "message"}
    assert "innards" not in answer.text
    failed, request = logs
    assert (failed["log_level"], failed["exc_info"]) == ("error", True)
    assert failed["errorId"] == request["errorId"] == answer.json()["errorId"]


@pytest.mark.parametrize(("proxies", "statuses"), [("127.0.0.0/8", [401, 401]), ("::1, 10.0.0.1", [401, 429])])
async def test_failed_logins_are_those_of_who_stands_behind_a_trusted_proxy(
    api: Api, monkeypatch: pytest.MonkeyPatch, proxies: str, statuses: list[int]
) -> None:
    """What a stranger says of where it comes from is not believed, or each would have a new budget each time."""
    monkeypatch.setattr("processor.api.rates.FAILURES", RateLimitItemPerMinute(1))
    change = {"http_port": free_port(), "http_trusted_proxies": proxies, "http_rate_limit": 1_000}
    async with (
        outside(api.settings.model_copy(update=change))(api.interfaces),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{change['http_port']}", auth=("nobody", "x")) as http,
    ):
        answers = [
            await http.get("/api/v2/journey", headers={"X-Forwarded-For": behind})
            for behind in ("192.0.2.1", "192.0.2.2")
        ]
    assert [it.status_code for it in answers] == statuses


async def test_a_client_that_hangs_up_while_it_sends_is_no_bug(api: Api) -> None:
    settings = api.settings.model_copy(update={"http_host": "127.0.0.1", "http_port": free_port()})
    secret = b64encode(f"mine:{SECRET}".encode()).decode()
    head = (
        f"POST /api/explain HTTP/1.1\r\nHost: api\r\nAuthorization: Basic {secret}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    )
    with capture_logs() as logs:
        async with outside(settings)(api.interfaces):
            reader, writer = await asyncio.open_connection(settings.http_host, settings.http_port)
            writer.write(f'{head}{{"journey": '.encode())
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
    assert [log["status"] for log in logs if log["event"] == "request"] == [499]
    assert {log["log_level"] for log in logs} == {"info"}
    metrics = (await api.http.get("/metrics")).text
    assert 'journey_progress_http_requests_total{route="/api/explain",status="499"} 1.0' in metrics
    assert 'route="/api/explain",status="500"' not in metrics


OPERATORS = (
    "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$and", "$or", "$nor", "$not", "$exists", "$type",
    "$regex", "$options", "$elemMatch", "$all", "$size", "$mod", "$comment", "$oid", "$dte", "$date", "$where",
    "$expr", "$regularExpression", "$numberLong",
)  # fmt: skip
PATHS = (
    "_id", "journey", "organisation", "owner.ident", "updatedAt", "completions", "completions.0.waypoints.x.order",
    "a.b", "&46;", "x$", "é",
)  # fmt: skip
PARAMETERS = (
    "filter", "query", "sort", "project", "select", "hint", "distinct", "after", "before", "first", "last", "skip",
    "limit",
)  # fmt: skip
FIELDS = (
    "description", "isActive", "sources", "waypoints", "outcomes", "isSequential", "trackBy", "owner",
    "recalculateStatus", "x.y", "$x", "é",
)  # fmt: skip


def a_value(dice: random.Random, depth: int = 0) -> Any:
    """Anything that JSON can say, with a liking for operators."""
    leaves: list[Callable[[], Any]] = [
        lambda: None,
        lambda: dice.choice([True, False]),
        lambda: dice.choice([0, 1, -1, 2.5, 2**31, 2**53, 2**63 - 1, 2**64 - 1, -(2**63), 1e300]),
        lambda: dice.choice(["", "x", "a" * 24, f"{1:024x}", "2026-01-01", "~(", ">", ">=2026", "!=", "$x", "ä\u0000"]),
    ]
    if depth > 3:
        return dice.choice(leaves)()
    nests: list[Callable[[], Any]] = [
        lambda: [a_value(dice, depth + 1) for _ in range(dice.randrange(3))],
        lambda: {dice.choice(PATHS): a_value(dice, depth + 1) for _ in range(dice.randrange(3))},
        lambda: {dice.choice(OPERATORS): a_value(dice, depth + 1) for _ in range(dice.randrange(1, 3))},
    ]
    return dice.choice(leaves + nests + nests)()


@pytest.mark.parametrize("seed", range(2))
async def test_fuzzed_parameters_are_answered(api: Api, seed: int) -> None:
    dice = random.Random(seed)
    await api.has_progress(*(a_progress(number) for number in range(1, 4)))
    await api.has_journeys(a_stored_journey())
    asked: list[tuple[str, dict[str, Any]]] = []
    for _ in range(200):
        path = dice.choice([CONNECTION, REST, f"{REST}/count", "/api/connection/journey", "/api/v2/journey"])
        names = dice.sample(PARAMETERS, 3)
        asked.append((path, {name: a_value(dice) for name in names}))
    answers = await asyncio.gather(*(api.get(path, **parameters) for path, parameters in asked))
    for question, answer in zip(asked, answers, strict=True):
        assert answer.status_code in (200, 400), (question, answer.text)
    assert {answer.status_code for answer in answers} == {200, 400}


async def test_fuzzed_bodies_are_answered(api: Api) -> None:
    dice = random.Random(1)
    journey = a_stored_journey()
    await api.has_journeys(journey)
    for number in range(60):
        body = {dice.choice(FIELDS): a_value(dice) for _ in range(2)}
        if number % 2:
            part = {name: a_value(dice) for name in dice.sample(["_id", "conditions", "count", "order", "x"], 2)}
            body[dice.choice(["waypoints", "outcomes"])] = [part]
        method, path = dice.choice([("POST", "/api/v2/journey"), ("PUT", f"/api/v2/journey/{journey['_id']}")])
        answer = await api.send(method, path, body)
        assert answer.status_code in (200, 201, 400), (body, answer.text)
        explained = await api.send("POST", "/api/explain", {"journey": body, "statement": a_value(dice)})
        assert explained.status_code in (200, 400, 404), (body, explained.text)
