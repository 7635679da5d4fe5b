"""An event loop without a clock and without I/O: when nothing is ready, it asks what is to happen next."""

import asyncio
from collections.abc import Callable
from typing import Any


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs asyncio on simulated time. `idle` is called whenever every task waits.

    `idle` either makes something ready, or moves the time on with `elapse`.
    """

    def __init__(self, idle: Callable[[], None]) -> None:
        super().__init__()
        self._now = 0.0
        self._idle = idle
        self._selector = self  # what BaseEventLoop asks when it has nothing to do

    def time(self) -> float:
        return self._now

    def elapse(self, seconds: float) -> None:
        self._now += seconds

    def next_timer(self) -> float | None:
        """Return in how many seconds the next timer goes off; None without one."""
        timers = [handle.when() for handle in self._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]  # asyncio's own heap
        return max(min(timers) - self._now, 0.0) if timers else None

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None or timeout > 0:
            self._idle()
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass
