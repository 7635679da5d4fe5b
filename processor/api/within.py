"""What the routes work with: handed in by whoever serves, found by them on the application's state."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from processor.api.logins import Logins
from processor.api.rates import Rates
from processor.core.identity import Identification
from processor.core.policy import FoldingPolicy
from processor.metrics import Metrics
from processor.ports.interfaces import QueryReader
from processor.ports.recalculation import Recalculations
from processor.ports.stream import Clock
from processor.services.authoring import Authoring

COMPILING = 2
"""Requests that compile conditions at the same time, beside the event loop, which may be that of the loops, too."""

Faults = Callable[[], Awaitable[list[str]]]
"""Asks how the process is; answers with a sentence for each thing that is wrong."""


@dataclass(frozen=True, slots=True)
class Within:
    """The ports and policies of one application."""

    queries: QueryReader
    authoring: Authoring
    logins: Logins
    rates: Rates
    recalculations: Recalculations
    metrics: Metrics
    is_live: Faults
    is_ready: Faults
    clock: Clock
    identification: Identification
    folding: FoldingPolicy
    page_limit: int
    body_limit: int
    compiling: asyncio.Semaphore


def within(request: Request) -> Within:
    """Find it."""
    found = request.app.state.within
    assert isinstance(found, Within)
    return found


Here = Annotated[Within, Depends(within)]
