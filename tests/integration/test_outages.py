"""A MongoDB or a Kafka that is away is waited out, visibly, and processing resumes by itself; nothing is lost."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from processor.app import Part, run_processor
from processor.embedded import ServerProcess
from processor.opening import open_stores
from processor.operating import apply_journeys, create_all_topics
from processor.settings import Settings
from schemas.journey import with_ids
from tests.acceptance.world import header, produce, read_all, until_quiet
from tests.servers import Servers, found_servers

JOURNEY = with_ids(
    {
        "organisation": "59198183d8ea540933227033",
        "description": "One thing",
        "isActive": True,
        "waypoints": [{"conditions": {"statement.verb.id": "http://example.org/did"}}],
    }
)


def statement(number: int) -> dict[str, object]:
    return {
        "id": f"6690e6c9-3ef0-4ed3-8b37-7f39647{number:05d}",
        "actor": {"mbox": f"mailto:learner-{number}@example.org"},
        "verb": {"id": "http://example.org/did"},
        "object": {"id": "http://example.org/it"},
        "timestamp": "2026-01-01T10:00:00Z",
    }


@pytest.fixture(scope="module")
def own_servers() -> Iterator[Servers]:
    """Servers that only this module torments."""
    with found_servers() as found:
        if found.kafka_process is None or found.mongo_process is None:
            pytest.skip("these servers are not ours to stop")
        yield found


@pytest.mark.parametrize("which", ["mongo", "kafka"])
@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_an_outage_is_waited_out(settings: Settings, own_servers: Servers, which: str, how: str) -> None:
    settings = settings.model_copy(
        update={"kafka_bootstrap_servers": own_servers.kafka, "mongo_url": SecretStr(own_servers.mongo_url)}
    )
    hasty = settings.model_copy(update={"mongo_timeout": 2.0})
    process = own_servers.mongo_process if which == "mongo" else own_servers.kafka_process
    assert process is not None
    if (which, how, own_servers.kind) == ("kafka", "killed", "embedded"):
        how = "stopped"  # killed, it loses what it has acknowledged; so it does with what comes while it stops
    await create_all_topics(settings)
    await apply_journeys(settings, [JOURNEY])
    stop = asyncio.Event()
    with capture_logs() as logs:
        running = asyncio.create_task(run_processor(hasty, tuple(Part), stop))
        await produce(settings, map(statement, range(50)))
        await until_quiet(settings)
        if which == "mongo":
            _take_away(process, how)
            await produce(settings, map(statement, range(50, 100)))
            await _until_seen(logs, "unavailable, trying again")
            await asyncio.to_thread(_bring_back, process, how)
        else:
            if how != "stopped":
                await produce(settings, map(statement, range(50, 100)))
            await asyncio.to_thread(_take_away, process, how)
            await asyncio.sleep(3)  # the outage's length: nobody says when a consumer has noticed
            await asyncio.to_thread(_bring_back, process, how)
            if how == "stopped":
                await produce(settings, map(statement, range(50, 100)))
        await until_quiet(settings)
        stop.set()
        await running
    async with open_stores(settings) as stores:
        documents = [document async for document in stores.reader.find(limit=1_000)]
    assert len(documents) == 100
    assert all(document["isCompleted"] and document["processing"]["revision"] == 1 for document in documents)
    events = {header(it, "ce_id") for it in await read_all(settings, settings.progress_topic)}
    assert events == {f"{document['_id']}-1" for document in documents}


def _take_away(process: ServerProcess, how: str) -> None:
    match how:
        case "killed":
            process.kill()
        case "stopped":
            process.stop()
        case _:
            process.freeze()


def _bring_back(process: ServerProcess, how: str) -> None:
    if how == "frozen":
        process.thaw()
    else:
        process.start()


async def _until_seen(logs: Sequence[Mapping[str, object]], event: str) -> None:
    async with asyncio.timeout(60):
        while not any(entry["event"] == event for entry in logs):  # noqa: ASYNC110 - logs have no event to wait for
            await asyncio.sleep(0.05)
