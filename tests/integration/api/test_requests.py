"""Requests that are refused for their form: parameters given twice, methods that a path does not have."""

import pytest

from tests.integration.api.world import SECRET, Api, a_progress

CONNECTION = "/api/connection/journeyProgress"
REST = "/api/v2/journeyProgress"


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", CONNECTION, 'filter={"isCompleted":true}&filter={}'),
        ("GET", CONNECTION, "filter={}&first=1&first=2"),
        ("GET", "/api/connection/journey", "project={}&project={}"),
        ("GET", REST, 'query={"isCompleted":true}&query='),
        ("GET", f"{REST}/count", "query={}&query={}"),
        ("GET", f"{REST}/{1:024x}", "select=owner&select=journey"),
        ("POST", "/api/recalculatejourney", f"journeyId={1:024x}&journeyId={2:024x}"),
    ],
)
async def test_a_parameter_given_twice_is_400(api: Api, method: str, path: str, query: str) -> None:
    await api.has_progress(a_progress(1))
    answer = await api.http.request(method, f"{path}?{query}", auth=("mine", SECRET))
    assert answer.status_code == 400
    assert "given 2 times" in answer.json()["message"]
    assert (await api.http.request(method, f"{path}?{query}")).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "methods"),
    [
        ("PUT", "/api/v2/journey", {"GET", "HEAD", "POST", "DELETE"}),
        ("OPTIONS", f"/API/v2/journey/{1:024x}", {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}),
        ("DELETE", f"{REST}/{1:024x}", {"GET", "HEAD"}),
        ("TRACE", CONNECTION, {"GET", "HEAD"}),
        ("GET", "/api/recalculatejourney", {"POST"}),
        ("HEAD", "/api/recalculatejourney", {"POST"}),
        ("POST", "/openapi.json", {"GET", "HEAD"}),
    ],
)
async def test_a_method_that_a_path_does_not_have_is_405_and_told_those_it_has(
    api: Api, method: str, path: str, methods: set[str]
) -> None:
    answer = await api.http.request(method, path, auth=("mine", SECRET))
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == methods


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (REST, 200),
        (f"{REST}/{1:024x}", 200),
        (f"{REST}/{2:024x}", 404),
        ("/API/v2/journey/count", 200),
        (f"{CONNECTION}?first=x", 400),
        ("/docs", 200),
        ("/health/live", 200),
        ("/metrics", 200),
    ],
)
async def test_head_is_get_without_its_body(api: Api, path: str, status: int) -> None:
    await api.has_progress(a_progress(1))
    get, head = [await api.http.request(method, path, auth=("mine", SECRET)) for method in ("GET", "HEAD")]
    assert (get.status_code, head.status_code) == (status, status)
    assert (bool(get.content), head.content) == (True, b"")
    assert head.headers.keys() == get.headers.keys()
    assert head.headers["content-type"] == get.headers["content-type"]
    assert (await api.http.head(REST)).status_code == 401
