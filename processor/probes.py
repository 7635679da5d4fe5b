"""`/metrics`, `/health/live` and `/health/ready` on HTTP_PORT without the interfaces: the extra `http` is not needed.

A thread takes the requests and asks the event loop, so that a loop that is stuck is told of, too.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from errno import EACCES, EADDRINUSE
from http import HTTPStatus
from threading import Thread
from time import monotonic
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import orjson
import structlog
from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from processor.errors import InvalidSettings
from processor.opening import Interfaces
from processor.services.liveness import CHECK_SECONDS
from processor.settings import PREFIX, Settings

ANSWER_SECONDS = 2 * CHECK_SECONDS
"""After this a loop that has not answered is not live; what it is asked gives up sooner."""

CALL_SECONDS = 20.0
"""What a call may take in all: nobody holds a thread for ever, not byte by byte either."""

CALLS = 32
"""Calls at once, a thread each; whoever comes on top is hung up on."""

Faults = Callable[[], Coroutine[Any, Any, list[str]]]


def health(faults: Sequence[str]) -> tuple[HTTPStatus, Mapping[str, object]]:
    """Return the answer to a question after health: its status and its body."""
    status = HTTPStatus.SERVICE_UNAVAILABLE if faults else HTTPStatus.OK
    return status, {"status": "unavailable" if faults else "ok", "faults": faults}


def no_address(settings: Settings, error: OSError, another_port: str) -> InvalidSettings:
    """Return why the address cannot be listened on; `another_port` is the remedy where it is for the port."""
    is_port = error.errno in (EADDRINUSE, EACCES)
    name, remedy = ("HTTP_PORT", another_port) if is_port else ("HTTP_HOST", "set an address of this machine")
    return InvalidSettings(
        f"{PREFIX}{name}: cannot listen on {settings.http_host}:{settings.http_port} ({error.strerror}); {remedy}"
    )


def probes(settings: Settings) -> Callable[[Interfaces], AbstractAsyncContextManager[None]]:
    """Return what serves metrics and health of a process, and nothing else, on HTTP_HOST and HTTP_PORT.

    Raises `InvalidSettings`, when it begins, if the address is not ours or the port is taken.
    """

    @asynccontextmanager
    async def serving(interfaces: Interfaces) -> AsyncIterator[None]:
        server = _listening(settings)
        server.set_app(_application(interfaces, asyncio.get_running_loop()))
        thread = Thread(target=server.serve_forever, name="probes", daemon=True)
        thread.start()
        try:
            yield
        finally:
            await asyncio.to_thread(server.shutdown)  # the loop goes on: a request may be asking it
            thread.join()
            server.server_close()

    return serving


class _Caller(WSGIRequestHandler):
    """One request, which is not logged."""

    timeout = CALL_SECONDS  # should the server be gone that hangs up

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""


class _Server(ThreadingWSGIServer):
    """A thread for each request, up to `CALLS`, for `CALL_SECONDS` at most."""

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._calls: dict[Any, float] = {}
        super().__init__((host, port), _Caller)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a call, in a thread of its own."""
        if len(self._calls) >= CALLS:
            self.shutdown_request(request)
            return
        self._calls[request] = monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a call. Called by its thread at last, and where none could be started."""
        self._calls.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Hang up on what takes too long: its thread then ends. Called twice a second."""
        for request, began in list(self._calls.items()):
            if monotonic() - began > CALL_SECONDS:
                with suppress(OSError):  # it ended meanwhile
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the library's
        """Hear of a caller that went away, or was too slow."""
        structlog.get_logger(__name__).debug("a request broke off", exc_info=True)


def _listening(settings: Settings) -> _Server:
    try:
        return _Server(settings.http_host, settings.http_port)
    except OSError as error:
        raise no_address(settings, error, "set another port, or 0 for none") from None


def _application(interfaces: Interfaces, loop: asyncio.AbstractEventLoop) -> WSGIApplication:
    metrics: WSGIApplication = make_wsgi_app(interfaces.metrics.shown)
    asked: Mapping[str, Faults] = {"/health/live": interfaces.vitals.live, "/health/ready": interfaces.vitals.ready}

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"].lower().rstrip("/")  # as the interfaces take it (http.md)
        if path == "/metrics":
            return metrics(environ, start_response)
        if path not in asked:
            return _text(start_response, HTTPStatus.NOT_FOUND, "only /metrics, /health/live and /health/ready")
        if environ["REQUEST_METHOD"] != "GET":
            return _text(start_response, HTTPStatus.METHOD_NOT_ALLOWED, "only GET")
        status, body = health(_answered(asked[path], loop))
        return _sent(start_response, status, "application/json", orjson.dumps(body))

    return _without_bodies_of_head(application)


def _without_bodies_of_head(application: WSGIApplication) -> WSGIApplication:
    """Answer HEAD as GET, without what that would send (RFC 9110, 9.3.2)."""

    def answering(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "HEAD":
            return application(environ, start_response)
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], *_: Any) -> Callable[[bytes], object]:
            started.append((status, headers))
            return len

        body = b"".join(application({**environ, "REQUEST_METHOD": "GET"}, start))
        [(status, headers)] = started
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return []

    return answering


def _answered(ask: Faults, loop: asyncio.AbstractEventLoop) -> list[str]:
    """Ask from the thread of a request."""
    answering = asyncio.run_coroutine_threadsafe(ask(), loop)
    try:
        return answering.result(ANSWER_SECONDS)
    except TimeoutError:
        answering.cancel()
        return [f"the event loop does not answer within {ANSWER_SECONDS:g} s"]
    except CancelledError:
        return ["stopping"]


def _text(start_response: StartResponse, status: HTTPStatus, text: str) -> Iterable[bytes]:
    return _sent(start_response, status, "text/plain; charset=utf-8", f"{text}\n".encode())


def _sent(start_response: StartResponse, status: HTTPStatus, kind: str, body: bytes) -> Iterable[bytes]:
    start_response(f"{status.value} {status.phrase}", [("Content-Type", kind), ("Cache-Control", "no-store")])
    return [body]
