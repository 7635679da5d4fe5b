"""Servers once per run; a fresh topic, group and database per test."""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.conn import AIOKafkaConnection
from hypothesis import settings as hypothesis_settings

from processor.settings import Settings
from processor.store.connect import Database, open_database
from processor.store.indexes import ensure_indexes
from tests.servers import Servers, found_servers

SHARED = Path(__file__).parents[2] / "shared" / "data"

hypothesis_settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis_settings.register_profile("local", deadline=None)
hypothesis_settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_configure() -> None:
    """Hear Ctrl-C, also where a script runs us in its background: what we start would be deaf as well, for ever."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Let no full collection look through what was collected, 0.14 s long, while a test times a pause."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs servers, so that `-m 'not servers'` runs everywhere; who asks late marks its parameter."""
    for item in items:
        if "servers" in getattr(item, "fixturenames", ()):
            item.add_marker("servers")


@pytest.fixture(scope="session", autouse=True)
async def _forgotten_connections() -> AsyncIterator[None]:
    """Close, at the very end, what aiokafka 0.14 forgets when a client is stopped while it connects.

    Its `create_conn` leaves the socket open when it is cancelled in its handshake, as happens where brokers are frozen
    and killed. A client of ours that was not stopped is not forgiven: that one warns for itself.
    """
    yield
    gc.unfreeze()  # the loops freeze what is there when they have read the journeys
    for forgotten in [it for it in gc.get_objects() if type(it) is AIOKafkaConnection]:
        forgotten.close()
    await asyncio.sleep(0)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with found_servers() as found:
        yield found


@pytest.fixture
def settings(servers: Servers, request: pytest.FixtureRequest) -> Settings:
    """Settings of a processor of its own: fresh topics, group and database on the shared servers."""
    assert request.node.get_closest_marker("servers"), "`getfixturevalue` is not seen: mark the parameter with servers"
    name = uuid4().hex[:12]
    return Settings(
        _env_file=None,
        kafka_bootstrap_servers=servers.kafka,
        mongo_url=servers.mongo_url,
        mongo_database=f"test_{name}",
        statements_topic=f"statements.{name}",
        progress_topic=f"progress.{name}",
        dead_letters_topic=f"dead-letters.{name}",
        consumer_group=f"group.{name}",
        topic_partitions=4,
        http_port=0,
        default_organisation="59198183d8ea540933227033",
        duration_unit="milliseconds",
        session_timeout=6,
        rebalance_timeout=6,
        poll_timeout=0.2,
        idle_pause=0.05,
        mongo_timeout=5,
        lease=6,
        outage_backoff=1,
    )


@pytest.fixture
async def mongo_database(settings: Settings) -> AsyncIterator[Database]:
    """A database of its own, with the indexes; dropped at the end. What a slow disk holds up is not tried again."""
    async with open_database(settings.model_copy(update={"mongo_timeout": 30.0})) as database:
        await ensure_indexes(database)
        yield database
        await database.client.drop_database(database.name)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real statements and conformance cases beside the project."""
    if not SHARED.is_dir():
        pytest.skip("the data folder ../shared/data is not beside this checkout")
    return SHARED
