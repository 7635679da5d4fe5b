"""The HTTP interfaces as a caller has them: a process of its own, a client of its own, plain HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx
from bson import ObjectId

from processor.embedded.process import free_port
from processor.settings import Settings
from processor.store.connect import CLIENTS, Database
from tests.acceptance.commands import running
from tests.builders import ORGANISATION
from tests.integration.api.world import SECRET, a_client

DEADLINE = 60.0


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + DEADLINE
    while not await condition():
        assert time.monotonic() < deadline, f"after {DEADLINE} s: {what}"
        await asyncio.sleep(0.05)


async def a_login(database: Database, organisation: ObjectId = ORGANISATION) -> httpx.BasicAuth:
    """A client that may do all in an organisation."""
    client = a_client(uuid4().hex, organisation)
    await database[CLIENTS].insert_one(client)
    return httpx.BasicAuth(client["api"]["basic_key"], SECRET)


@asynccontextmanager
async def serving(settings: Settings, log: Path, part: str = "serve") -> AsyncIterator[httpx.AsyncClient]:
    """Run a process that serves the interfaces, until it is ready; yield what calls it, without credentials yet."""
    port = free_port()
    settings = settings.model_copy(update={"http_port": port, "http_api": True, "http_rate_limit": 0})
    with running(settings, log, part) as process:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:

            async def is_ready() -> bool:
                assert process.process.poll() is None, f"it ended: see {log}"
                try:
                    return (await http.get("/health/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(is_ready, "the process is ready")
            yield http
        assert process.stop() == 0
