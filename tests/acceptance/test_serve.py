"""`serve` from outside: plain HTTP against the running process, on a real MongoDB."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from bson import ObjectId

from processor.settings import Settings
from processor.store.connect import JOURNEYS, PROGRESSES, Database, open_database
from tests.acceptance.commands import ran
from tests.acceptance.openapi import drive
from tests.acceptance.serving import a_login, serving
from tests.builders import JOURNEY, ORGANISATION, at
from tests.integration.api.world import a_progress, a_stored_journey
from tests.servers import Servers

CROWDED = ObjectId("5a0000000000000000000002")
DOCUMENTS = 10_000
PAGE = 400


@dataclass(frozen=True, slots=True)
class Served:
    """A running process, what calls it, and the database behind it."""

    http: httpx.AsyncClient
    database: Database
    settings: Settings
    log: Path


@pytest.fixture(scope="module")
async def served(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    log = tmp_path_factory.mktemp("serve") / "serve.log"
    settings = Settings(
        _env_file=None,
        kafka_bootstrap_servers="192.0.2.1:9092",  # `serve` needs none
        mongo_url=servers.mongo_url,
        mongo_database=f"test_{uuid4().hex[:12]}",
        default_organisation=str(ORGANISATION),
    )
    async with open_database(settings) as database:
        async with serving(settings, log) as http:
            yield Served(http, database, settings, log)
        await database.client.drop_database(database.name)


@pytest.mark.filterwarnings("ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning")
async def test_the_openapi_document_is_true(served: Served) -> None:
    """No 500, and nothing that the document does not say.

    The drawing is in a thread beside PyMongo's, which take random numbers, too: Hypothesis may take those for its own.
    """
    await served.database[PROGRESSES].insert_many([a_progress(number * 2 + 1) for number in range(20)])
    await served.database[JOURNEYS].insert_one(a_stored_journey())
    await asyncio.to_thread(drive, str(served.http.base_url), await a_login(served.database))
    assert b'"status": 500' not in served.log.read_bytes()


async def test_ten_thousand_documents_both_ways_while_a_writer_is_at_work(served: Served) -> None:
    """Nothing that is there from beginning to end is lost or repeated; by an unchanging sort, as Relay has it."""
    progresses = served.database[PROGRESSES]
    http = served.http
    http.auth = await a_login(served.database, CROWDED)
    dice = random.Random(1)
    steady = [_progress(ObjectId(f"{number * 2:024x}"), number) for number in range(1, DOCUMENTS + 1)]
    await progresses.insert_many(steady)
    keys = [str(document["_id"]) for document in steady]
    is_over = asyncio.Event()

    async def write() -> int:
        """Insert, change and remove all over the set."""
        written = 0
        while not is_over.is_set():
            fresh = [ObjectId(f"{dice.randrange(1, DOCUMENTS) * 2 + 1:024x}") for _ in range(20)]
            for key in fresh:
                await progresses.replace_one({"_id": key}, _progress(key, int(str(key), 16) // 2), upsert=True)
            changed = [ObjectId(dice.choice(keys)) for _ in range(20)]
            await progresses.update_many({"_id": {"$in": changed}}, {"$set": {"updatedAt": at(written)}})
            await progresses.delete_many({"_id": {"$in": fresh[:10]}})
            written += 1
        return written

    writer = asyncio.create_task(write())
    try:
        forwards = await walk(http, {"first": PAGE}, "after", "endCursor")
        by_creation = {"last": PAGE, "sort": '{"createdAt": -1}'}
        backwards = await walk(http, by_creation, "before", "startCursor")
    finally:
        is_over.set()
        rounds = await writer
    assert rounds > 5
    known = set(keys)
    assert [key for key in forwards if key in known] == keys
    assert [key for key in backwards if key in known] == [key for key in _by_creation(steady) if key in known]
    assert len(forwards) == len(set(forwards))
    assert len(backwards) == len(set(backwards))


async def walk(http: httpx.AsyncClient, asked: dict[str, Any], parameter: str, cursor: str) -> list[str]:
    """Page through everything; return the ids in the order they came, page by page."""
    seen: list[str] = []
    page = (await http.get("/api/connection/journeyProgress", params=asked)).json()
    while page["edges"]:
        ids = [edge["node"]["_id"] for edge in page["edges"]]
        seen += ids if parameter == "after" else ids[::-1]
        asked = {**asked, parameter: page["pageInfo"][cursor]}
        page = (await http.get("/api/connection/journeyProgress", params=asked)).json()
    return seen


def _progress(key: ObjectId, number: int) -> dict[str, Any]:
    return {
        "_id": key,
        "journey": JOURNEY,
        "organisation": CROWDED,
        "owner": {"trackBy": "actor", "ident": {"mbox": f"mailto:o{number}@example.org"}},
        "createdAt": at(number % 100),
        "updatedAt": at(number),
        "isCompleted": False,
        "completions": [],
        "processing": {"revision": 0},
    }


def _by_creation(documents: list[dict[str, Any]]) -> list[str]:
    """The order of the set from its end: the sort is descending, so its end is the oldest."""
    ordered = sorted(documents, key=lambda it: (it["createdAt"], it["_id"]))
    return [str(document["_id"]) for document in ordered]


async def test_clients_from_the_command_line(served: Served) -> None:
    http = served.http
    made = await ran(served.settings, "clients", "create", "a dashboard", "--json")
    assert made.returncode == 0, made.stderr
    client = orjson.loads(made.stdout)
    auth = httpx.BasicAuth(client["key"], client["secret"])
    assert (await http.get("/api/v2/journey", auth=auth)).status_code == 200
    assert (await http.post("/api/v2/journey", auth=auth, json={})).status_code == 403, "it may only read"
    assert (await ran(served.settings, "clients", "revoke", client["key"])).returncode == 0
    assert (await http.get("/api/v2/journey", auth=auth)).status_code == 401
    listed = (await ran(served.settings, "clients", "list")).stdout
    [line] = [line for line in listed.splitlines() if client["key"] in line]
    assert "revoked" in line
    assert client["secret"] not in listed
    assert client["secret"].encode() not in served.log.read_bytes()
    unknown = await ran(served.settings, "clients", "revoke", "nobody")
    assert (unknown.returncode, "there is no client" in unknown.stderr) == (65, True)


async def test_serve_needs_an_address_of_its_own(served: Served) -> None:
    ended = await ran(served.settings.model_copy(update={"http_host": "192.0.2.1"}), "serve")  # never ours
    assert ended.returncode == 78
    assert "JOURNEY_PROGRESS_HTTP_HOST: cannot listen" in ended.stderr
