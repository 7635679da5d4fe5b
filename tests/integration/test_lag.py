"""How far behind a running process says it is, when ingest itself cannot say it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from processor.app import Part, run_processor
from processor.metrics import Metrics
from processor.operating import apply_journeys, create_all_topics
from processor.services.ingest import IngestPolicy
from processor.settings import Settings
from processor.store.connect import Database
from tests.acceptance.world import produce
from tests.builders import a_statement
from tests.integration.test_back_pressure import JOURNEY
from tests.proxy import a_proxy

# PyMongo 4.20 forgets a socket when it is closed while its monitor connects (PYTHON-5867).
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
async def prepared(settings: Settings, mongo_database: Database) -> Settings:
    """Topics and a journey are there, and the lag is looked at often."""
    await create_all_topics(settings)
    await apply_journeys(settings, [JOURNEY])
    return settings.model_copy(update={"backlog_poll": 0.1})


@asynccontextmanager
async def ingesting(settings: Settings) -> AsyncIterator[Metrics]:
    """Run an ingester; yield what it counts."""
    metrics, stop = Metrics(), asyncio.Event()
    running = asyncio.create_task(run_processor(settings, (Part.INGEST,), stop, metrics=metrics))
    try:
        yield metrics
    finally:
        stop.set()
        await running


def lags(metrics: Metrics) -> dict[str, float]:
    [family] = [it for it in metrics.registry.collect() if it.name == "journey_progress_lag"]
    return {sample.labels["partition"]: sample.value for sample in family.samples}


async def until(condition: Callable[[], bool], what: Callable[[], object]) -> None:
    try:
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 - metrics have no event to wait for
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"still {what()}")


async def test_lag_grows_while_ingest_waits_for_mongodb(prepared: Settings) -> None:
    address = urlsplit(prepared.mongo_url.get_secret_value())
    assert address.hostname
    async with a_proxy(address.hostname, address.port or 27017) as wire:
        slow = {
            "mongo_url": SecretStr(f"mongodb://127.0.0.1:{wire.port}/?directConnection=true"),
            "mongo_timeout": 60.0,
            "lease": 120.0,
        }
        async with ingesting(prepared.model_copy(update=slow)) as metrics:
            await until(lambda: len(lags(metrics)) == prepared.topic_partitions, lambda: lags(metrics))
            wire.hold_at(b"$addToSet")
            await produce(prepared, [a_statement(1)])
            async with asyncio.timeout(60):
                await wire.held.wait()
            await asyncio.sleep(2 * IngestPolicy().growth)  # so long it grows; what is polled after that, waits
            await produce(prepared, [b"{}"] * 250)
            await until(lambda: sum(lags(metrics).values()) == 250, lambda: lags(metrics))
            wire.release()
            await until(lambda: not sum(lags(metrics).values()), lambda: lags(metrics))


async def test_a_partition_that_went_to_another_process_is_told_of_there_alone(prepared: Settings) -> None:
    everything = {str(number) for number in range(prepared.topic_partitions)}
    async with ingesting(prepared) as one:
        await until(lambda: lags(one).keys() == everything, lambda: lags(one))
        async with ingesting(prepared) as other:
            await until(lambda: len(lags(one)) == len(lags(other)) == 2, lambda: (lags(one), lags(other)))
            assert lags(one).keys() | lags(other).keys() == everything
        await until(lambda: lags(one).keys() == everything, lambda: lags(one))
