"""The port of metrics and health answers from a thread of its own: it tells of a loop that cannot."""

import asyncio
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import orjson
import pytest

from processor import probes
from processor.api.server import outside
from processor.app import Outside
from processor.embedded.process import free_port
from processor.errors import InvalidSettings
from processor.metrics import Metrics
from processor.opening import open_interfaces
from processor.services.liveness import Liveness, Vitals
from processor.settings import Settings


def asked(port: int) -> tuple[int, object]:
    """Ask whether the process is live; the event loop that calls this stands still meanwhile."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=30) as answer:
            return answer.status, orjson.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, orjson.loads(error.read())


async def test_a_loop_that_does_not_answer_is_not_live(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "ANSWER_SECONDS", 0.2)
    settings = settings.model_copy(update={"http_port": free_port()})
    vitals = Vitals(Liveness(60, lambda: 0.0))
    async with (
        open_interfaces(settings, Metrics(), vitals) as interfaces,
        probes.probes(settings)(interfaces),
    ):
        fault = "the event loop does not answer within 0.2 s"
        assert asked(settings.http_port) == (503, {"status": "unavailable", "faults": [fault]})
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", settings.http_port)) != 0, "it listens no more"


@asynccontextmanager
async def listening(settings: Settings) -> AsyncIterator[int]:
    """Yield the port of a process that is live."""
    settings = settings.model_copy(update={"http_port": free_port()})
    async with (
        open_interfaces(settings, Metrics(), Vitals(Liveness(60, lambda: 0.0))) as interfaces,
        probes.probes(settings)(interfaces),
    ):
        yield settings.http_port


def caller(port: int) -> socket.socket:
    """Return a connection of somebody who says nothing."""
    return socket.create_connection(("127.0.0.1", port), timeout=5)


async def test_callers_beyond_the_most_are_hung_up_on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "CALLS", 2)
    async with listening(settings) as port:
        with caller(port), caller(port), caller(port) as third:
            assert await asyncio.to_thread(third.recv, 1) == b""
        async with asyncio.timeout(30):
            while await asyncio.to_thread(status, port) != 200:
                pass  # the first two have left, which their threads hear of in a moment


async def test_who_takes_too_long_is_hung_up_on(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "CALL_SECONDS", 0.2)
    async with listening(settings) as port:
        with caller(port) as slow:
            slow.sendall(b"GET /health/live HTTP/1.1\r\n")
            assert await asyncio.to_thread(slow.recv, 1) == b""
        monkeypatch.setattr(probes, "CALL_SECONDS", 20.0)
        assert await asyncio.to_thread(status, port) == 200


def status(port: int) -> int | None:
    try:
        return asked(port)[0]
    except OSError:
        return None


@pytest.mark.parametrize("path", ["/health/live", "/metrics", "/nothing"])
async def test_head_is_get_without_its_body(settings: Settings, path: str) -> None:
    async with listening(settings) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        get, head = [await http.request(method, path) for method in ("GET", "HEAD")]
    assert head.status_code == get.status_code
    assert (bool(get.content), head.content) == (True, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert abs(int(head.headers["content-length"]) - int(get.headers["content-length"])) < 100, "metrics change"


@pytest.mark.parametrize("path", ["/health/live", "/Health/LIVE/", "/health/ready//", "/METRICS/"])
async def test_paths_match_as_those_of_the_interfaces_do(settings: Settings, path: str) -> None:
    async with listening(settings) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        answers = [await http.get(path), await http.get(f"{path}/x"), await http.get(f"/x{path}")]
    assert answers[0].status_code in (200, 503)
    assert [answer.status_code for answer in answers[1:]] == [404, 404]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_no_cache_keeps_an_answer_after_health(settings: Settings, method: str) -> None:
    async with listening(settings) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        answer = await http.request(method, "/health/live")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("serving", [probes.probes, outside])
@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("192.0.2.1", "HTTP_HOST: cannot listen on 192.0.2.1:{port} .*; set an address of this machine$"),
        ("no-such-host.invalid", "HTTP_HOST: cannot listen on .*; set an address of this machine$"),
        ("127.0.0.1", "HTTP_PORT: cannot listen on 127.0.0.1:{port} .*; set another port"),
    ],
)
async def test_an_address_that_cannot_be_had_is_said_by_the_setting_that_is_wrong(
    settings: Settings, serving: Callable[[Settings], Outside], host: str, said: str
) -> None:
    vitals = Vitals(Liveness(60, lambda: 0.0))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = settings.model_copy(update={"http_host": host, "http_port": port})
        async with open_interfaces(settings, Metrics(), vitals) as interfaces:
            with pytest.raises(InvalidSettings, match=said.format(port=port)):
                await serving(settings)(interfaces).__aenter__()


def test_the_loops_need_no_extra() -> None:
    code = "import sys, processor.app; sys.exit(bool({'fastapi', 'uvicorn', 'argon2', 'limits'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
