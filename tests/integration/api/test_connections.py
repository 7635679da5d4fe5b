"""Connections on real sockets: who does not say what it wants is hung up on, who is only slow is not."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from processor.api import bodies, bounded
from processor.api.server import outside
from processor.embedded.process import free_port
from tests.integration.api.world import SECRET, Api

LIVE = b"GET /health/live HTTP/1.1\r\nHost: api\r\n\r\n"
BODY = b'{"description": "slow"}'


def a_post(key: str, length: int) -> bytes:
    """The head of a request that saves a journey."""
    credentials = b64encode(f"{key}:{SECRET}".encode()).decode()
    return (
        f"POST /api/v2/journey HTTP/1.1\r\nHost: api\r\nAuthorization: Basic {credentials}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


class Connection:
    """One connection, as a client sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def drip(self, data: bytes) -> None:
        """Send it in five pieces, which take half a second."""
        size = len(data) // 5 + 1
        for start in range(0, len(data), size):
            self.send(data[start : start + size])
            await asyncio.sleep(0.1)

    async def drip_on(self, byte: bytes) -> None:
        """Send it again and again, as long as anybody is there."""
        with suppress(ConnectionError):
            while not self._reader.at_eof():
                self.send(byte)
                await asyncio.sleep(0.02)

    async def status(self) -> int:
        """Read one answer."""
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 5)).decode()
        [length] = [line.partition(": ")[2] for line in head.splitlines() if line.startswith("content-length")]
        await self._reader.readexactly(int(length))
        return int(head.split()[1])

    async def rest(self) -> bytes:
        """Read until the server hangs up; what it hears after that it answers by a reset."""
        with suppress(ConnectionResetError):
            return await asyncio.wait_for(self._reader.read(), 5)
        return b""

    async def is_refused(self) -> bool:
        """Ask; tell whether nothing is answered."""
        self.send(LIVE)
        try:
            return await self.status() != 200
        except (asyncio.IncompleteReadError, ConnectionError):
            return True

    def read_only_when_asked(self) -> None:
        """Leave what is answered to the server, but for what fits into the buffers of the kernel."""
        self._reader._limit = 1  # type: ignore[attr-defined]

    async def take(self, count: int) -> None:
        """Read so many bytes of the answers."""
        while count > 0:
            count -= len(data := await asyncio.wait_for(self._reader.read(count), 5))
            assert data

    async def is_hung_up_on(self) -> bool:
        """Tell whether the server has reset the connection, whatever of its answers was not read."""
        with suppress(ConnectionError):
            for _ in range(20):
                self.send(LIVE)
                await self._writer.drain()
                await asyncio.sleep(0.02)
            return False
        return True

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


Connect = Callable[[], Awaitable[Connection]]


@asynccontextmanager
async def serving(api: Api) -> AsyncIterator[Connect]:
    """Serve on a port of its own, and yield what connects to it."""
    settings = api.settings.model_copy(update={"http_host": "127.0.0.1", "http_port": free_port()})
    made: list[Connection] = []

    async def connect() -> Connection:
        made.append(Connection(*await asyncio.open_connection(settings.http_host, settings.http_port)))
        return made[-1]

    async with outside(settings)(api.interfaces):
        try:
            yield connect
        finally:
            for connection in made:
                await connection.close()


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(bounded, "READ_SECONDS", 0.3)
    monkeypatch.setattr(bodies, "BODY_SECONDS", 1.0)


@pytest.mark.parametrize(
    ("before", "sent"), [(0, b""), (0, LIVE[:30]), (1, LIVE[:30])], ids=["nothing", "half", "later"]
)
async def test_who_does_not_say_what_it_wants_is_hung_up_on(api: Api, before: int, sent: bytes) -> None:
    async with serving(api) as connect:
        connection = await connect()
        for _ in range(before):
            connection.send(LIVE)
            assert await connection.status() == 200
        connection.send(sent)
        assert await connection.rest() == b""


async def test_a_head_that_comes_byte_by_byte_is_not_waited_for(api: Api) -> None:
    async with serving(api) as connect:
        connection = await connect()
        connection.send(LIVE[:-2] + b"X-Long: ")
        await asyncio.wait_for(connection.drip_on(b"x"), 5)
        assert await connection.rest() == b""


async def test_half_a_body_is_408(api: Api) -> None:
    async with serving(api) as connect:
        connection = await connect()
        connection.send(a_post("mine", 100) + BODY)
        assert await connection.status() == 408
        assert await connection.rest() == b""


async def test_the_rest_of_a_body_is_not_waited_for_after_the_answer(api: Api) -> None:
    async with serving(api) as connect:
        connection = await connect()
        connection.send(a_post("nobody", 1_000_000) + BODY)
        assert await connection.status() == 401
        await asyncio.wait_for(connection.drip_on(b"x"), 5)
        assert await connection.rest() == b""


async def test_who_is_slow_is_answered_and_may_ask_again(api: Api) -> None:
    """The body takes longer than a head may; so does the pause before the next request."""
    async with serving(api) as connect:
        connection = await connect()
        connection.send(a_post("mine", len(BODY)))
        await connection.drip(BODY)
        assert await connection.status() == 201
        await asyncio.sleep(0.5)
        connection.send(LIVE[:30])
        await asyncio.sleep(0.1)
        connection.send(LIVE[30:] + LIVE)
        assert [await connection.status(), await connection.status()] == [200, 200]


async def test_who_takes_no_answer_is_hung_up_on_and_who_takes_it_slowly_is_not(api: Api) -> None:
    pages = b"GET /openapi.json HTTP/1.1\r\nHost: api\r\n\r\n" * 500
    async with serving(api) as connect:
        idle, slow = await connect(), await connect()
        for connection in (idle, slow):
            connection.read_only_when_asked()
            connection.send(pages)
        for _ in range(5):  # for far longer than one may take nothing
            await slow.take(2_000_000)
            await asyncio.sleep(0.2)
        assert await idle.is_hung_up_on()
        await slow.take(100_000)


@pytest.fixture
def _two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "HEAD_SECONDS", 20.0)
    monkeypatch.setattr(bodies, "BODY_SECONDS", 20.0)
    monkeypatch.setattr(bounded, "CONNECTIONS", 2)


@pytest.mark.usefixtures("_two_at_once")
async def test_who_is_silent_for_longest_makes_room_for_who_comes(api: Api) -> None:
    async with serving(api) as connect:
        first, second = await connect(), await connect()
        second.send(LIVE[:30])
        first.send(LIVE)
        assert await first.status() == 200  # silent since this answer, so for less long than the other
        third = await connect()
        assert await second.rest() == b""
        for connection in (third, first):
            connection.send(LIVE)
            assert await connection.status() == 200


@pytest.mark.usefixtures("_two_at_once")
async def test_who_comes_is_hung_up_on_where_all_others_are_answered(api: Api) -> None:
    async with serving(api) as connect:
        busy = [await connect(), await connect()]
        for connection in busy:
            connection.send(a_post("mine", len(BODY)))
        await asyncio.sleep(0.2)
        assert await (await connect()).rest() == b""
        for connection in busy:
            connection.send(BODY)
            assert await connection.status() == 201
        assert not await (await connect()).is_refused()  # who was answered is silent now
