"""What callers write is compiled beside the event loop, which may be that of the loops, too: two requests at a time."""

import asyncio
import threading
import time
from typing import Any

import pytest

from processor.api.within import COMPILING
from processor.core.queries import filters
from processor.services import authoring
from processor.store import recalculations
from tests.builders import a_statement
from tests.integration.api.world import Api, a_progress, a_stored_journey

CONNECTION = "/api/connection/journeyProgress"
REST = "/api/v2/journeyProgress"
JOURNEYS = "/api/v2/journey"

EXPRESSION: dict[str, Any] = {"owner.ident.mbox": {"$regex": "o1"}}
EXTENDED: dict[str, Any] = {"owner.ident.mbox": {"$regularExpression": {"pattern": "o1", "options": ""}}}


class Watched:
    """Compiles as it did, and notes where, and how many at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> None:
        self._compile = getattr(module, name)
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0
        self.threads: list[threading.Thread] = []
        monkeypatch.setattr(module, name, self)

    def __call__(self, *written: Any) -> Any:
        with self._lock:
            self.threads.append(threading.current_thread())
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.02)
        try:
            return self._compile(*written)
        finally:
            with self._lock:
                self._now -= 1

    @property
    def is_beside(self) -> bool:
        """Whether all of it was done in another thread than this."""
        return bool(self.threads) and threading.current_thread() not in self.threads


@pytest.mark.parametrize(
    ("path", "parameter", "written"),
    [
        (CONNECTION, "filter", EXPRESSION),
        (CONNECTION, "filter", EXTENDED),
        (CONNECTION, "filter", r'{"owner.ident.mbox": {"\u0024regex": "o1"}}'),
        (CONNECTION, "filter", {"version": {"$in": list(range(500))}}),
        (REST, "query", EXPRESSION),
        (REST, "query", {"owner.ident.mbox": "~o1"}),
        (f"{REST}/count", "query", {"owner.ident.mbox": ["~o1"]}),
        (REST, "query", r'{"owner.ident.mbox": "\u007eo1"}'),
    ],
    ids=lambda it: str(it)[:60],
)
async def test_filters_with_expressions_and_long_ones_are_compiled_beside_the_loop(
    api: Api, monkeypatch: pytest.MonkeyPatch, path: str, parameter: str, written: Any
) -> None:
    await api.has_progress(a_progress(1))
    watched = Watched(monkeypatch, filters, "compile_conditions")
    answers = await asyncio.gather(*(api.get(path, **{parameter: written}) for _ in range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert watched.is_beside
    assert (len(watched.threads), watched.most) == (6, COMPILING)


async def test_a_filter_that_takes_less_than_a_thread_stays_where_it_is(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(monkeypatch, filters, "compile_conditions")
    assert (await api.get(CONNECTION, filter={"isCompleted": True})).status_code == 200
    assert (await api.get(f"{REST}/count", query={"updatedAt": ">=2026-01-01"})).status_code == 200
    assert watched.threads == [threading.current_thread()] * 2


async def test_journeys_are_compiled_beside_the_loop(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    journey = a_stored_journey()
    await api.has_journeys(journey)
    watched = Watched(monkeypatch, authoring, "compile_journey")
    made = [api.send("POST", JOURNEYS, {"description": f"j{number}"}) for number in range(3)]
    changed = [api.send("PUT", f"{JOURNEYS}/{journey['_id']}", {"description": f"j{number}"}) for number in range(3)]
    statuses = [answer.status_code for answer in await asyncio.gather(*made, *changed)]
    assert statuses == [201] * 3 + [200] * 3
    assert watched.is_beside
    assert watched.most == COMPILING
    assert (await api.send("POST", JOURNEYS, {"waypoints": [{"conditions": {"$where": "1"}}]})).status_code == 400


async def test_a_journey_that_is_to_be_recalculated_is_compiled_beside_the_loop(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    journey = a_stored_journey()
    await api.has_journeys(journey)
    watched = Watched(monkeypatch, recalculations, "compile_journey")
    asked = [api.send("POST", f"/api/recalculatejourney?journeyId={journey['_id']}") for _ in range(4)]
    assert sorted(answer.status_code for answer in await asyncio.gather(*asked)) == [200, 400, 400, 400]
    assert watched.is_beside
    assert (len(watched.threads), watched.most) == (4, 1)


async def test_who_waits_for_mongodb_holds_up_nobody_who_compiles(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    away = asyncio.Event()

    async def slow(*_: object) -> dict[str, object]:
        await away.wait()
        return {}

    monkeypatch.setattr(api.app.state.within.queries, "progresses", slow)
    body = {"journey": {"waypoints": []}, "statement": a_statement(1)}
    explaining = [asyncio.create_task(api.send("POST", "/api/explain", body)) for _ in range(COMPILING)]
    await asyncio.sleep(0.2)
    try:
        async with asyncio.timeout(5):
            assert (await api.get(CONNECTION, filter=EXPRESSION)).status_code == 200
    finally:
        away.set()
    assert {(await answer).status_code for answer in explaining} == {200}


@pytest.mark.parametrize(
    ("expressions", "characters", "status"), [(20, 100, 200), (21, 1, 400), (1, 2_000, 200), (1, 2_001, 400)]
)
async def test_a_filter_has_fewer_expressions_than_conditions(
    api: Api, expressions: int, characters: int, status: int
) -> None:
    written: Any = {"owner.ident.mbox": {"$in": [{"$regex": "x" * characters}] * expressions}}
    for path, parameter in ((CONNECTION, "filter"), (REST, "query"), (f"{REST}/count", "query")):
        answer = await api.get(path, **{parameter: written})
        assert answer.status_code == status, answer.text
        assert status == 200 or "where 20 with 2000 are allowed" in answer.json()["message"]
    journey = {"waypoints": [{"conditions": written}]}
    assert (await api.send("POST", JOURNEYS, journey)).status_code == 201
