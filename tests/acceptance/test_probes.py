"""Metrics and health of a process with its default settings, without the HTTP interfaces, from outside."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from pydantic import SecretStr

from processor.embedded.process import free_port
from processor.operating import create_all_topics
from processor.settings import Settings
from processor.store.connect import Database
from tests.acceptance.commands import running
from tests.acceptance.serving import until

ALL_IS_WELL = {"status": "ok", "faults": []}


def said(log: Path) -> str:
    return log.read_text()


@asynccontextmanager
async def probed(settings: Settings, log: Path, part: str = "run") -> AsyncIterator[httpx.AsyncClient]:
    """Run a process until it answers at all; yield what asks it."""
    settings = settings.model_copy(update={"http_port": free_port()})
    with running(settings, log, part) as process:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.http_port}", timeout=30) as http:

            async def answers() -> bool:
                assert process.process.poll() is None, f"it ended: see {log}"
                try:
                    return bool(await http.get("/health/live"))
                except httpx.TransportError:
                    return False

            await until(answers, "it answers")
            yield http
        assert process.stop() == 0
    assert "GET" not in said(log)


async def test_what_waits_for_its_servers_is_live_and_not_ready(settings: Settings, tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    away = {"kafka_bootstrap_servers": nobody, "mongo_url": SecretStr(f"mongodb://{nobody}/?replicaSet=rs0")}
    async with probed(settings.model_copy(update=away), tmp_path / "run.log") as http:
        live = await http.get("/health/live")
        assert (live.status_code, live.json()) == (200, ALL_IS_WELL)
        ready = await http.get("/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "unavailable", "faults": ["starting"]})
        assert ready.headers["content-type"] == "application/json"


async def test_a_relay_alone_tells_nothing_of_journeys(
    settings: Settings, mongo_database: Database, tmp_path: Path
) -> None:
    """It would go on telling how they were at its start: nobody looks at them there."""
    await create_all_topics(settings)
    async with probed(settings, tmp_path / "relay.log", "relay") as http:

        async def is_ready() -> bool:
            return (await http.get("/health/ready")).status_code == 200

        await until(is_ready, "it is ready")
        scraped = (await http.get("/metrics")).text
    assert 'loop_progressed_timestamp_seconds{loop="relay"}' in scraped
    assert "journey_progress_journeys{" not in scraped


async def test_what_has_its_place_is_ready(settings: Settings, mongo_database: Database, tmp_path: Path) -> None:
    await create_all_topics(settings)
    async with probed(settings, tmp_path / "run.log") as http:

        async def is_ready() -> bool:
            return (await http.get("/health/ready")).status_code == 200

        await until(is_ready, "it is ready")
        assert (await http.get("/health/live")).json() == (await http.get("/health/ready")).json() == ALL_IS_WELL


async def test_nothing_else_is_served(settings: Settings, mongo_database: Database, tmp_path: Path) -> None:
    await create_all_topics(settings)
    async with probed(settings, tmp_path / "run.log") as http:
        metrics = await http.get("/metrics")
        assert metrics.status_code == 200
        assert "journey_progress_records_total" in metrics.text
        for path in ("/", "/health", "/health/live/x", "/favicon.ico", "/api/v2/journey"):
            other = await http.get(path)
            assert (other.status_code, other.text) == (404, "only /metrics, /health/live and /health/ready\n"), path
        assert (await http.post("/health/live")).status_code == 405
        assert (await http.post("/metrics")).status_code == 405
