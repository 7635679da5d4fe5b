"""P1 with real processes on a real MongoDB: frozen past its lease, overtaken, woken, and fenced."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from processor.settings import Settings
from processor.store.connect import JOURNEYS, PROGRESSES, Database
from processor.store.progress import MongoProgressStore
from tests.acceptance.commands import environment
from tests.builders import JOURNEY, a_journey, an_append, an_item, at

ROOT = Path(__file__).parents[2]


def a_worker(settings: Settings, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.integration.worker", *arguments]
    return subprocess.Popen(command, env=environment(settings), cwd=ROOT, stdout=subprocess.PIPE, text=True)


async def ended(worker: "subprocess.Popen[str]") -> str:
    """Return what a worker says last: how many promotions landed, and how many were fenced."""
    told, _ = await asyncio.to_thread(worker.communicate, timeout=60)
    assert worker.returncode == 0
    return told.splitlines()[-1]


async def test_p1_a_worker_that_was_frozen_past_its_lease_is_fenced(
    settings: Settings, mongo_database: Database
) -> None:
    await mongo_database[JOURNEYS].insert_one(a_journey(_id=JOURNEY))
    store = MongoProgressStore(mongo_database)
    await store.append([an_append(an_item(1))], [], at(0))

    frozen = a_worker(settings, "freeze")
    try:
        _, status = await asyncio.to_thread(os.waitpid, frozen.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        [held] = await mongo_database[PROGRESSES].find().to_list()
        await store.append([an_append(an_item(2))], [], at(1))

        assert await ended(a_worker(settings)) == "1 0"  # waits for the lease by itself
        [taken] = await mongo_database[PROGRESSES].find().to_list()
        assert taken["lockKey"] != held["lockKey"]
        assert [event["revision"] for event in taken["processing"]["outbox"]] == [1]
        assert not any(entry["statements"] for entry in taken["pendingProgress"].values())

        os.kill(frozen.pid, signal.SIGCONT)
        assert await ended(frozen) == "0 1"
        assert await mongo_database[PROGRESSES].find().to_list() == [taken]
    finally:
        frozen.kill()
        await asyncio.to_thread(frozen.communicate)
