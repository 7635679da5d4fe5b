"""A slow MongoDB slows polling, never the heartbeat; and a consumer that is far behind holds no more than a batch."""

import asyncio
import gc
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from aiokafka import ConsumerRecord
from aiokafka.record.default_records import DefaultRecord
from pydantic import SecretStr
from structlog.testing import capture_logs

from processor.app import Part, run_processor
from processor.core.records import Record
from processor.operating import apply_journeys, create_all_topics
from processor.settings import Settings
from processor.store.connect import Database
from processor.transport.admin import open_admin
from processor.transport.consumer import open_source
from processor.transport.topics import group_lag
from schemas.journey import with_ids
from tests.acceptance.world import produce
from tests.builders import a_statement
from tests.proxy import a_proxy

# PyMongo 4.20 forgets a socket when it is closed while its monitor connects (PYTHON-5867).
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(autouse=True)
def forgotten_sockets() -> Iterator[None]:
    """Find what PyMongo forgot here, and not in whatever test comes next."""
    yield
    gc.unfreeze()  # the loops freeze what is there when they have read the journeys
    gc.collect()


JOURNEY = with_ids(
    {
        "organisation": "59198183d8ea540933227033",
        "description": "One thing",
        "isActive": True,
        "waypoints": [{"conditions": {"statement.verb.id": "http://example.org/did"}}],
    }
)


async def members(settings: Settings) -> tuple[str, list[str]]:
    """What the group's coordinator says: its state, and the ids of its members."""
    async with open_admin(settings) as admin:
        [response] = await admin.describe_consumer_groups([settings.consumer_group])
    _, _, state, _, _, found, *_ = response.groups[0]
    return state, [member[0] for member in found]


@pytest.mark.slow
async def test_i1_a_slow_mongodb_slows_polling_but_not_the_heartbeat(
    settings: Settings, mongo_database: Database
) -> None:
    """It takes longer over a batch than the session lasts: the member stays, and the batch is committed in the end."""
    await create_all_topics(settings)
    await apply_journeys(settings, [JOURNEY])
    address = urlsplit(settings.mongo_url.get_secret_value())
    assert address.hostname
    stop = asyncio.Event()
    async with a_proxy(address.hostname, address.port or 27017) as wire:
        slow = {
            "mongo_url": SecretStr(f"mongodb://127.0.0.1:{wire.port}/?directConnection=true"),
            "mongo_timeout": 30.0,
        }
        patient = settings.model_copy(update={**slow, "lease": 60.0})
        with capture_logs() as logs:
            running = asyncio.create_task(run_processor(patient, (Part.INGEST,), stop))
            wire.hold_at(b"$addToSet")
            await produce(settings, [a_statement(n, actor={"mbox": f"mailto:{n}@example.org"}) for n in range(40)])
            async with asyncio.timeout(60):
                await wire.held.wait()
            before = await members(settings)
            now = asyncio.get_running_loop().time
            enough = now() + settings.session_timeout * 1.5
            while now() < enough:
                assert await members(settings) == before
            assert sum((await group_lag(settings)).values()) > 0
            wire.release()
            async with asyncio.timeout(60):
                while sum((await group_lag(settings)).values()):
                    pass
            stop.set()
            await running
    batches = [entry for entry in logs if entry["event"] == "batch ingested"]
    assert sum(entry["records"] for entry in batches) == 40  # none came twice
    assert all(entry.get("committed", True) for entry in batches)
    assert (before[0], len(before[1])) == ("Stable", 1)


@pytest.mark.servers
async def test_a_consumer_far_behind_holds_no_more_than_a_batch(settings: Settings) -> None:
    settings = settings.model_copy(update={"batch_records": 50})
    await create_all_topics(settings)
    await produce(settings, [b"%d" % number + b"x" * 200 for number in range(5_000)])
    gc.collect()
    others = held()
    taken = 0
    async with asyncio.timeout(60), open_source(settings) as source:
        while taken < 1_000:
            async with source.batch() as batch:
                assert len(batch.records) <= 50
                taken += len(batch.records)
                if batch.records:
                    assert held() - others <= 2 * 50  # the batch as Kafka's records and as ours
                assert await source.commit(batch)


def held() -> int:
    """Count the records that are in memory as objects."""
    return sum(isinstance(it, ConsumerRecord | DefaultRecord | Record) for it in gc.get_objects())
