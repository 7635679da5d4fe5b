"""Uvicorn in a running event loop: beside the loops of `run`, or alone for `serve`."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn

from processor.api.application import Application, create_application
from processor.api.bounded import Bounded
from processor.api.logins import Logins
from processor.api.rates import Rates
from processor.api.within import COMPILING, Within
from processor.app import Outside
from processor.errors import InvalidSettings
from processor.opening import Interfaces
from processor.policies import folding_policy, ingest_policy
from processor.probes import no_address
from processor.services.authoring import Authoring
from processor.settings import PREFIX, Settings
from processor.settings_together import listed

BACKLOG = 128
"""Connections that may wait for the loop: it takes all of them at once, also what is hung up on then."""


def outside(settings: Settings) -> Outside:
    """Return what serves the interfaces of a process on HTTP_HOST and HTTP_PORT."""

    @asynccontextmanager
    async def serving(interfaces: Interfaces) -> AsyncIterator[None]:
        server = _Server(
            uvicorn.Config(
                application_of(settings, interfaces),
                http=Bounded,
                backlog=BACKLOG,
                log_config=None,
                access_log=False,  # the frame writes a better line
                server_header=False,
                forwarded_allow_ips=listed(settings.http_trusted_proxies),
                lifespan="off",
                timeout_graceful_shutdown=int(settings.shutdown_deadline),
            )
        )
        with _listening(settings) as listener:
            structlog.get_logger(__name__).info("listening", host=settings.http_host, port=settings.http_port)
            task = asyncio.create_task(server.serve([listener]), name="http")
            try:
                yield
            finally:
                server.should_exit = True
                await task

    return serving


class _Server(uvicorn.Server):
    """Leaves signals to the command line, which drains the loops as well."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def application_of(settings: Settings, interfaces: Interfaces) -> Application:
    """Make the application as the settings say."""
    rates = Rates(settings.http_rate_limit)
    compiling = asyncio.Semaphore(COMPILING)
    within = Within(
        queries=interfaces.queries,
        authoring=Authoring(interfaces.queries, interfaces.journeys, interfaces.clock, compiling),
        logins=Logins(interfaces.clients, rates),
        rates=rates,
        metrics=interfaces.metrics,
        is_live=interfaces.vitals.live,
        is_ready=interfaces.vitals.ready,
        recalculations=interfaces.recalculations,
        clock=interfaces.clock,
        identification=ingest_policy(settings).identification,
        folding=folding_policy(settings),
        page_limit=settings.http_page_limit,
        body_limit=settings.http_body_limit,
        compiling=compiling,
    )
    return create_application(within, listed(settings.http_cors_origins))


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    """Listen. Raises `InvalidSettings` when the address is not ours or the port is taken."""
    if not settings.http_port:
        raise InvalidSettings(f"{PREFIX}HTTP_PORT is 0: the HTTP interfaces need a port")
    try:
        family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
        listener = socket.create_server((settings.http_host, settings.http_port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise no_address(settings, error, "set another port") from None
    with listener:
        yield listener
