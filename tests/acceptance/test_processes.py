"""`run --processes 2`: all is consumed, a killed child comes back, a killed parent leaves nobody, SIGTERM ends all."""

import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from processor.core.journey import compile_journey
from processor.embedded.process import free_port
from processor.operating import apply_journeys, create_all_topics
from processor.settings import Settings
from processor.store.connect import Database
from schemas.journey import journey_document, journey_from, with_ids
from tests.acceptance.commands import Running, journey_progress
from tests.acceptance.proof import verdict_on
from tests.acceptance.serving import until
from tests.acceptance.test_two_processes import JOURNEY, statements
from tests.acceptance.world import produce, until_quiet
from tests.servers import Servers

COURSE = with_ids({**JOURNEY, "organisation": "59198183d8ea540933227033"})


@pytest.fixture
async def prepared(settings: Settings, servers: Servers, mongo_database: Database) -> Settings:
    """Topics and a journey are there; on the embedded broker members are static: see test_two_processes.py."""
    await create_all_topics(settings)
    await apply_journeys(settings, [COURSE])
    own = {"group_instance_id": "slot"} if servers.kind == "embedded" else {}
    return settings.model_copy(update={**own, "http_port": free_port(), "http_api": True})


def pids_of(family: Running) -> dict[int, int]:
    """The children's process ids, by number: the last that was started counts."""
    return {entry["process"]: entry["pid"] for entry in family.logged("process started")}


async def settled(family: Running) -> None:
    async def share() -> bool:
        assert family.process.poll() is None, f"it ended: see {family.log}"
        return all(family.holds(2, process=number) for number in (1, 2))

    await until(share, f"both children hold two partitions: see {family.log}")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def records_read(metrics: str) -> float:
    lines = [line for line in metrics.splitlines() if line.startswith("journey_progress_records_total")]
    assert len(lines) == 1
    return float(lines[0].split()[-1])


async def test_a_killed_child_comes_back_and_nothing_is_lost(
    prepared: Settings, mongo_database: Database, tmp_path: Path
) -> None:
    stream = statements(7)
    half = len(stream) // 2
    family = Running(prepared, tmp_path / "run.log", "run", "--processes", "2")
    try:
        await settled(family)
        await produce(prepared, stream[:half])
        await until_quiet(prepared)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{prepared.http_port}", timeout=30) as http:
            await all_are_seen_from_one(http, half)
            before = pids_of(family)
            os.kill(before[2], signal.SIGKILL)
            await produce(prepared, stream[half:])
            await until_quiet(prepared)

            async def is_back() -> bool:
                return pids_of(family)[2] != before[2] and (await http.get("/health/ready")).status_code == 200

            await until(is_back, "the second child is back")
            assert records_read((await http.get("/metrics")).text) >= len(stream)  # what the dead one counted, too
        [death] = family.logged("process died")
        assert (death["process"], death["exit_code"]) == (2, -signal.SIGKILL)
    finally:
        asked = time.monotonic()
        status = family.stop()
    assert status == 0
    assert time.monotonic() - asked < prepared.shutdown_deadline
    assert not any(map(is_alive, pids_of(family).values()))
    verdict = await verdict_on(prepared, mongo_database, [compile_journey(journey_document(journey_from(COURSE)))])
    assert (verdict.lost, verdict.doubled) == ([], [])
    assert verdict.statements == len(stream)


async def all_are_seen_from_one(http: httpx.AsyncClient, records: int) -> None:
    """The first child serves, and answers for both."""

    async def is_ready() -> bool:
        return (await http.get("/health/ready")).status_code == 200

    await until(is_ready, "both children are ready")
    assert (await http.get("/health/live")).json() == {"status": "ok", "faults": []}
    assert records_read((await http.get("/metrics")).text) == records


async def test_children_end_when_their_parent_is_killed(
    prepared: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv("TMPDIR", str(shared))
    family = Running(prepared, tmp_path / "run.log", "promote", "--processes", "2")

    async def are_started() -> bool:
        return len(list(shared.glob("*/process-*.json"))) == 2

    async def are_gone() -> bool:
        return not any(map(is_alive, pids_of(family).values()))

    try:
        await until(are_started, f"both children are started: see {family.log}")
    finally:
        family.kill()
    await until(are_gone, f"nobody is left: see {family.log}")
    assert list(shared.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"lease": 2.0}, "JOURNEY_PROGRESS_LEASE"),  # the parent finds it
        ({"http_port": 9, "http_host": "192.0.2.1"}, "JOURNEY_PROGRESS_HTTP_HOST"),  # the first child does
        ({}, "topics create"),
    ],
    ids=["settings", "host", "topics"],
)
def test_what_is_wrong_at_the_start_is_said_once(settings: Settings, change: dict[str, object], names: str) -> None:
    done = journey_progress(settings.model_copy(update={**change, "log_level": "error"}), "run", "--processes", "3")
    assert done.returncode == 78
    [line] = done.stderr.strip().splitlines()
    assert names in line
