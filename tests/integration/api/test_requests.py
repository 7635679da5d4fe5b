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
