"""`journey-progress bench`: measures on a cluster, touches nothing that is there, and leaves nothing behind."""

import asyncio
import os
import signal
from pathlib import Path

import orjson

from processor.settings import Settings
from processor.store.connect import open_database
from processor.transport.topics import create_topics, delete_topics, present_topics
from tests.acceptance.commands import COMMAND, environment, ran, running


async def test_it_measures_and_cleans_up(settings: Settings) -> None:
    prefix = settings.mongo_database
    done = await ran(
        settings, "bench", "--statements=600", "--match-rate=0.5", "--rate=1", f"--prefix={prefix}", "--json"
    )
    assert done.returncode == 0, done.stderr
    figures = orjson.loads(done.stdout)
    assert figures["rate"] > 0
    assert figures["statements"] > 1  # so few are read in one batch, and there is something to time all the same
    assert figures["cpu_us_per_statement"] > 0
    assert figures["mongo_writing_share"] > 0
    assert figures["promotions"] == figures["matches"] == 300
    assert 0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["p99"] <= figures["latency_ms"]["p999"]
    assert figures["processes"] == 1
    assert await _left_of(settings, prefix) == set()


async def test_what_is_there_already_is_not_touched(settings: Settings) -> None:
    prefix = settings.mongo_database
    theirs = settings.model_copy(update={"statements_topic": f"{prefix}.progress"})
    await create_topics(theirs)
    async with open_database(settings) as database:
        await database["things"].insert_one({"_id": 1})
        refused = await ran(settings, "bench", f"--prefix={prefix}")
        assert refused.returncode == 65
        assert f"topic {prefix}.progress and database {prefix}" in refused.stderr
        assert "--prefix" in refused.stderr
        assert await database["things"].count_documents({}) == 1
        assert f"{prefix}.progress" in await present_topics(settings)
        await database.client.drop_database(database.name)
    await delete_topics(theirs)


async def test_interrupted_it_leaves_nothing(settings: Settings, tmp_path: Path) -> None:
    prefix = settings.mongo_database
    with running(settings, tmp_path / "log", "bench", "--statements=1000000", f"--prefix={prefix}") as process:
        await _begun(settings, prefix)
        process.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.ended) == 130, process.log.read_text()
    assert await _left_of(settings, prefix) == set()


async def test_where_nobody_reads_what_it_tells_it_leaves_nothing_either(settings: Settings) -> None:
    prefix = settings.mongo_database
    reader, writer = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "bench", "--statements=1000000", f"--prefix={prefix}"), env=environment(settings), stderr=writer
    )
    os.close(writer)
    os.close(reader)
    await _begun(settings, prefix)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(40):
        await process.wait()
    assert await _left_of(settings, prefix) == set()


async def _begun(settings: Settings, prefix: str) -> None:
    async with asyncio.timeout(30):
        while not await _left_of(settings, prefix):  # noqa: ASYNC110 - another process's work
            await asyncio.sleep(0.05)


async def _left_of(settings: Settings, prefix: str) -> set[str]:
    topics = {name for name in await present_topics(settings) if name.startswith(prefix)}
    async with open_database(settings) as database:
        databases = set(await database.client.list_database_names())
    return topics | ({prefix} & databases)
