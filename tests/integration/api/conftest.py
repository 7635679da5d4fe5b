"""The application on a real MongoDB, asked by plain HTTP without a socket in between.

One database and one application for all: the collections are emptied after each test, which is much faster than
making the indexes again, and the first login pays for argon2 alone.
"""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from uuid import uuid4

import httpx
import pytest

from processor.metrics import Metrics
from processor.opening import Interfaces
from processor.services.liveness import Vitals
from processor.services.surroundings import Surroundings
from processor.settings import Settings
from processor.store.clients import MongoClients
from processor.store.connect import (
    CLIENTS,
    JOURNEYS,
    ORGANISATIONS,
    PROGRESSES,
    RECALCULATIONS,
    STATEMENTS,
    open_database,
)
from processor.store.indexes import ensure_indexes
from processor.store.journeys import MongoJourneyWriter
from processor.store.queries import MongoQueryReader
from processor.store.recalculations import MongoRecalculations, RecalculationPolicy
from tests.builders import ORGANISATION
from tests.integration.api.world import OTHER, Api, FixedClock, a_client, application
from tests.servers import Servers


@pytest.fixture(scope="session")
async def shared_api(servers: Servers) -> AsyncIterator[Api]:
    """The interfaces on a database of their own."""
    settings = Settings(
        _env_file=None,
        kafka_bootstrap_servers=servers.kafka,
        mongo_url=servers.mongo_url,
        mongo_database=f"test_{uuid4().hex[:12]}",
        http_rate_limit=0,
    )
    vitals = Vitals(Surroundings(FixedClock(), Metrics()).liveness)
    vitals.begin()
    async with open_database(settings) as database:
        await ensure_indexes(database)
        interfaces = Interfaces(
            queries=MongoQueryReader(database, settings.http_query_timeout, FixedClock()),
            journeys=MongoJourneyWriter(database),
            clients=MongoClients(database),
            recalculations=MongoRecalculations(database, FixedClock(), RecalculationPolicy()),
            clock=FixedClock(),
            metrics=Metrics(),
            vitals=vitals,
        )
        app = application(settings, interfaces)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
            yield Api(app, http, database, interfaces, settings)
        await database.client.drop_database(database.name)


@pytest.fixture(autouse=True)
def _still_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no minute turn while a test counts its requests: a part of those before it is forgiven then."""
    monkeypatch.setattr("limits.aio.storage.memory.time", SimpleNamespace(time=lambda: 1_767_261_630.0))


@pytest.fixture
async def api(shared_api: Api) -> AsyncIterator[Api]:
    """The interfaces, with a client `mine` that may do all, and `theirs` in another organisation."""
    database = shared_api.database
    await database[CLIENTS].insert_many([a_client("mine", ORGANISATION), a_client("theirs", OTHER)])
    yield shared_api
    for name in (CLIENTS, JOURNEYS, ORGANISATIONS, PROGRESSES, RECALCULATIONS, STATEMENTS):
        await database[name].delete_many({})
