"""What every loop is given besides its ports: the clock, the metrics, when to stop, how to wait out an outage."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar
from uuid import uuid4

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_when_event_set, wait_random_exponential

from processor.errors import JourneyProgressError
from processor.metrics import Metrics
from processor.ports.stream import Clock
from processor.services.liveness import Liveness

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Leasing:
    """How a worker claims: for how long, how many documents at once, and under which keys.

    A key is a UUID v4, as the seed's example shows `lockKey`; each is used for one claim only (P1).
    """

    duration: timedelta = timedelta(seconds=60)
    batch: int = 500
    new_key: Callable[[], str] = lambda: str(uuid4())


def is_retriable(error: BaseException) -> bool:
    """Tell whether waiting can help; the error's class says so."""
    return isinstance(error, JourneyProgressError) and error.retriable


@dataclass(frozen=True)
class Surroundings:
    """Shared by the loops of one process. `stop` is set once, when the process is asked to end."""

    clock: Clock
    metrics: Metrics
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    backoff: float = 15.0
    liveness: Liveness = field(default_factory=lambda: Liveness(300.0, time.monotonic))

    async def outlast(self, loop: str, operation: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do a repeatable operation; while a server is unavailable wait, visibly, and try again.

        Pauses grow up to `backoff` seconds, with jitter. When `stop` is set the last error is raised: what was not
        done is done again by whoever comes next. Errors that waiting cannot mend are raised at once.
        """
        try:
            return await operation()
        except JourneyProgressError as error:
            if not is_retriable(error):
                raise
            failed = error
        return await self._again(loop, operation, failed)

    async def _again(
        self, loop: str, operation: Callable[[], Awaitable[Answer]], failed: JourneyProgressError
    ) -> Answer:
        """Go on after a first try that failed: what tenacity makes each time is a cycle, and left to the collector."""
        retrying = AsyncRetrying(
            retry=retry_if_exception(is_retriable),
            wait=wait_random_exponential(multiplier=0.25, max=self.backoff),
            stop=stop_when_event_set(self.stop),  # type: ignore[arg-type]  # asyncio's Event serves as well as threading's
            sleep=self.pause,
            before_sleep=lambda state: self._tell(loop, state),
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                if attempt.retry_state.attempt_number == 1:
                    raise failed
                return await operation()
        raise AssertionError("tenacity raises the last error or tries again")

    async def pause(self, seconds: float, *wakes: asyncio.Event) -> None:
        """Wait until `stop` or one of `wakes` is set, at most `seconds`; `wakes` that were set are cleared."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self.stop, *wakes)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.wait(waits)  # not each by itself: who is cancelled meanwhile has to hear of it
        for wake in wakes:
            wake.clear()

    def _tell(self, loop: str, state: RetryCallState) -> None:
        self.metrics.outages.labels(loop).inc()
        self.liveness.waits(loop)
        error = state.outcome.exception() if state.outcome else None
        structlog.get_logger(__name__).warning(
            "unavailable, trying again",
            loop=loop,
            error=str(error),
            tries=state.attempt_number,
            next_try_seconds=round(state.upcoming_sleep, 2),
        )
