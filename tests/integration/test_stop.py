"""SIGTERM in each phase: what is in hand is finished and committed within the deadline, or left whole to the next.

`stop` is what SIGTERM sets (cli/running.py; the acceptance tests send the signal itself).
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from processor.app import LETTING_GO, Part, run_processor
from processor.embedded.process import free_port
from processor.operating import apply_journeys, create_all_topics, read_status
from processor.settings import Settings
from processor.store.connect import PROGRESSES, Database
from processor.transport.topics import group_lag
from schemas.journey import with_ids
from tests.acceptance.world import produce, read_all, until_quiet
from tests.builders import a_statement
from tests.proxy import Proxy, a_proxy
from tests.servers import Servers

# PyMongo 4.20 forgets a socket when it is closed while its monitor connects (PYTHON-5867).
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

NUMBER = 40
SPARE = 4.0
"""Seconds beyond the deadline in which clients may disconnect; the machine of the tests may be busy."""

JOURNEY = with_ids(
    {
        "organisation": "59198183d8ea540933227033",
        "description": "One thing",
        "isActive": True,
        "waypoints": [{"conditions": {"statement.verb.id": "http://example.org/did"}}],
    }
)


@pytest.fixture(autouse=True)
def forgotten_sockets() -> Iterator[None]:
    """Find what PyMongo forgot here, and not in whatever test comes next."""
    yield
    gc.unfreeze()  # the loops freeze what is there when they have read the journeys
    gc.collect()


@pytest.fixture
async def wire(settings: Settings) -> AsyncIterator[Proxy]:
    """The way to MongoDB, which the test can hold."""
    address = urlsplit(settings.mongo_url.get_secret_value())
    assert address.hostname
    async with a_proxy(address.hostname, address.port or 27017) as proxy:
        yield proxy


@pytest.fixture
async def prepared(settings: Settings, mongo_database: Database, wire: Proxy) -> Settings:
    """Settings that lead over the wire, with topics and a journey made."""
    await create_all_topics(settings)
    await apply_journeys(settings, [JOURNEY])
    url = SecretStr(f"mongodb://127.0.0.1:{wire.port}/?directConnection=true")
    return settings.model_copy(
        update={"mongo_url": url, "mongo_timeout": 10.0, "lease": 20.0, "shutdown_deadline": 8.0, "backlog_poll": 60.0}
    )


async def statements(settings: Settings) -> None:
    await produce(settings, [a_statement(n, actor={"mbox": f"mailto:{n}@example.org"}) for n in range(NUMBER)])


async def ended_within(running: "asyncio.Task[None]", seconds: float) -> None:
    """The process ends by itself, without an error: exit code 0."""
    async with asyncio.timeout(seconds):
        await running


async def seen(logs: Sequence[Any], event: str) -> None:
    async with asyncio.timeout(60):
        while not any(entry["event"] == event for entry in logs):  # noqa: ASYNC110 - logs have no event to wait for
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("away", ["mongo_url", "kafka_bootstrap_servers"])
async def test_while_a_server_is_away_at_the_start(settings: Settings, mongo_database: Database, away: str) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    value = SecretStr(f"mongodb://{nobody}/?replicaSet=rs0") if away == "mongo_url" else nobody
    settings = settings.model_copy(update={away: value, "mongo_timeout": 0.5})
    stop = asyncio.Event()
    with capture_logs() as logs:
        running = asyncio.create_task(run_processor(settings, tuple(Part), stop))
        await seen(logs, "unavailable, trying again")
        stop.set()
        await ended_within(running, SPARE)


async def test_while_idle(prepared: Settings) -> None:
    stop = asyncio.Event()
    with capture_logs() as logs:
        running = asyncio.create_task(run_processor(prepared, tuple(Part), stop))
        await seen(logs, "partitions assigned")
        stop.set()
        await ended_within(running, SPARE)


@pytest.mark.parametrize(
    ("part", "word"),
    [(Part.INGEST, b"$addToSet"), (Part.PROMOTE, b"$pullAll"), (Part.RELAY, b"processing.outbox\x00")],
    ids=["mid-batch", "mid-promotion", "mid-publication"],
)
async def test_what_is_in_hand_is_finished(
    prepared: Settings, settings: Settings, wire: Proxy, part: Part, word: bytes
) -> None:
    """SIGTERM comes while a write is under way; the write ends in time, and what follows from it is done too."""
    before = {Part.INGEST: (), Part.PROMOTE: (Part.INGEST,), Part.RELAY: (Part.INGEST, Part.PROMOTE)}[part]
    await statements(settings)
    await run_until(settings, before, lambda: done(settings, before))
    wire.hold_at(word)
    stop = asyncio.Event()
    running = asyncio.create_task(run_processor(prepared, (part,), stop))
    async with asyncio.timeout(30):
        await wire.held.wait()
    stop.set()
    wire.release()
    await ended_within(running, prepared.shutdown_deadline + SPARE)
    await no_lease_is_left(settings)
    await done_at_once(settings, part)


@pytest.mark.parametrize("part", [Part.INGEST, Part.PROMOTE])
async def test_what_cannot_be_finished_in_time_is_left_whole_to_the_next(
    prepared: Settings, settings: Settings, wire: Proxy, mongo_database: Database, part: Part
) -> None:
    """The server does not come back: the process ends at its deadline, and another does the work, once."""
    hasty = prepared.model_copy(update={"shutdown_deadline": 1.0, "lease": 11.0})
    await statements(settings)
    if part is Part.PROMOTE:  # else new documents are inserted, promoted
        await run_until(settings, (Part.INGEST,), lambda: done(settings, (Part.INGEST,)))
    stop = asyncio.Event()
    wire.hold_at(b"pendingProgress" if part is Part.INGEST else b"$pullAll")
    running = asyncio.create_task(run_processor(hasty, tuple(Part), stop))
    async with asyncio.timeout(30):
        await wire.held.wait()
    stop.set()
    await ended_within(running, hasty.shutdown_deadline + 2 * SPARE)
    wire.release()
    await run_until(settings, tuple(Part), lambda: until_quiet(settings))
    documents = await mongo_database[PROGRESSES].find().to_list()
    assert len(documents) == NUMBER
    assert all(it["isCompleted"] and it["processing"]["revision"] == 1 for it in documents)


async def test_during_an_outage(prepared: Settings, settings: Settings, wire: Proxy) -> None:
    """The loops are waiting for the next try: nothing is in hand, and nothing was committed."""
    hasty = prepared.model_copy(update={"mongo_timeout": 1.0, "outage_backoff": 30.0, "shutdown_deadline": 3.0})
    stop = asyncio.Event()
    with capture_logs() as logs:
        running = asyncio.create_task(run_processor(hasty, (Part.INGEST,), stop))
        await seen(logs, "partitions assigned")
        wire.hold()
        await statements(settings)
        await seen(logs, "unavailable, trying again")
        stop.set()
        await ended_within(running, hasty.shutdown_deadline + SPARE)
        wire.release()
    assert sum((await group_lag(settings)).values()) == NUMBER


async def test_while_kafka_is_frozen(prepared: Settings, servers: Servers) -> None:
    """Nothing can be committed or left in an orderly way; each client is given up after its own few seconds."""
    broker = servers.kafka_process
    if broker is None:
        pytest.skip("this Kafka is not ours to stop")
    stop = asyncio.Event()
    with capture_logs() as logs:
        running = asyncio.create_task(run_processor(prepared, tuple(Part), stop))
        await seen(logs, "partitions assigned")
        broker.freeze()
        try:
            stop.set()
            await ended_within(running, prepared.shutdown_deadline + LETTING_GO)
        finally:
            broker.thaw()


async def run_until(settings: Settings, parts: Sequence[Part], condition: Callable[[], Awaitable[None]]) -> None:
    if not parts:
        return
    stop = asyncio.Event()
    running = asyncio.create_task(run_processor(settings, parts, stop))
    try:
        await condition()
    finally:
        stop.set()
        await running


async def done(settings: Settings, parts: Sequence[Part]) -> None:
    """Wait until these parts have nothing left to do."""
    async with asyncio.timeout(60):
        while True:
            status = await read_status(settings)
            backlog = status.backlog
            assert status.lag is not None
            assert backlog
            is_read = not sum(status.lag.values()) and backlog.documents == NUMBER
            is_promoted = Part.PROMOTE not in parts or not (backlog.due or backlog.claimed)
            if is_read and is_promoted:
                return
            await asyncio.sleep(0.05)


async def no_lease_is_left(settings: Settings) -> None:
    backlog = (await read_status(settings)).backlog
    assert backlog
    assert backlog.claimed == 0


async def done_at_once(settings: Settings, part: Part) -> None:
    """Nothing of what could be committed was left undone."""
    status = await read_status(settings)
    assert status.lag is not None
    assert status.backlog
    if part is Part.INGEST:
        committed = NUMBER - sum(status.lag.values())
        assert committed == status.backlog.documents > 0
    elif part is Part.PROMOTE:
        assert status.backlog.outbox + status.backlog.due == NUMBER
        assert status.backlog.outbox > 0
    else:
        events = await read_all(settings, settings.progress_topic)
        assert len(events) == NUMBER - status.backlog.outbox > 0
