"""A Kafka that goes away under an idle process: it is counted, logged a little, and the process goes on afterwards."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from processor.embedded.process import free_port
from processor.operating import create_all_topics
from processor.services.liveness import CHECK_SECONDS
from processor.settings import Settings
from tests.acceptance.commands import running
from tests.acceptance.serving import until
from tests.servers import Servers, found_servers

COUNTED = 'journey_progress_outages_total{loop="lag"}'


@pytest.fixture(scope="module")
def own_servers() -> Iterator[Servers]:
    """Servers that only this module torments."""
    with found_servers() as found:
        if found.kafka_process is None:
            pytest.skip("this Kafka is not ours to stop")
        yield found


@pytest.mark.slow
async def test_an_outage_on_an_idle_stream_is_counted_and_does_not_flood_the_log(
    settings: Settings, own_servers: Servers, tmp_path: Path
) -> None:
    broker = own_servers.kafka_process
    assert broker
    own = {"kafka_bootstrap_servers": own_servers.kafka, "mongo_url": SecretStr(own_servers.mongo_url)}
    settings = settings.model_copy(update={**own, "http_port": free_port(), "backlog_poll": 0.5})
    await create_all_topics(settings)
    with running(settings, tmp_path / "run.log") as process:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.http_port}", timeout=30) as http:

            async def is_ready() -> bool:
                try:
                    return (await http.get("/health/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            async def is_counted() -> bool:
                return COUNTED in (await http.get("/metrics")).text

            async def is_said_again() -> bool:
                return any("like it since the last one" in entry["event"] for entry in process.logged("Unable connect"))

            await until(is_ready, "it is ready")
            assert not await is_counted()
            await asyncio.to_thread(broker.stop)  # killed, it would lose topics that were made a moment before
            try:
                await until(is_counted, "the outage is counted")
                at_once = CHECK_SECONDS / 2
                assert (await http.get("/health/live", timeout=at_once)).status_code == 200
                assert (await http.get("/health/ready")).status_code == 503
                await until(is_said_again, "it lasts long enough for aiokafka to repeat itself")
            finally:
                await asyncio.to_thread(broker.start)
            said = [entry for entry in process.logged() if entry["logger"].startswith("aiokafka")]
            assert len(said) < 40, [entry["event"] for entry in said]
            await until(is_ready, "it is ready again")
        assert process.stop() == 0
