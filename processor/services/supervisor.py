"""Runs the loops of one process until it is asked to stop, then drains them within one deadline."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog

from processor.errors import JourneyProgressError, LoopDied
from processor.services.surroundings import Surroundings, is_retriable

GRACE = 1.0
"""Seconds that a cancelled loop is given to let go of what it has open."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A named step that is repeated; when it did less than `full` it rests until `wake` is set or `rest` is over.

    `step` returns how much it did, 0 for nothing. A step that waits by itself has `rest` 0. Where `wake` tells of
    nearly all there is to do, `full` may be a batch: who looks again after less finds nothing, mostly, and that is what
    takes mongod longest (`store/queues.py`).
    """

    name: str
    step: Callable[[], Awaitable[int]]
    rest: float = 0.0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    full: int = 1


async def supervise(loops: list[Loop], surroundings: Surroundings, deadline: float) -> None:
    """Run the loops until `stop` is set, then give them `deadline` seconds to finish their step.

    What is not finished by then is cancelled: it is redelivered, or its lease runs out, and nothing is lost. An
    error that waiting cannot mend stops all loops: a known one is raised as it is, an unforeseen one as `LoopDied`.
    """
    log = structlog.get_logger(__name__)
    log.info("running", loops=[loop.name for loop in loops])
    tasks = {asyncio.create_task(_repeat(loop, surroundings), name=loop.name): loop for loop in loops}
    stopping = asyncio.create_task(surroundings.stop.wait())
    try:
        await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        surroundings.stop.set()
        log.info("stopping", deadline_seconds=deadline)
        _, late = await asyncio.wait(tasks, timeout=deadline)
        if late:
            log.warning("cancelled at the deadline: its work is done again", loops=[task.get_name() for task in late])
    finally:
        await _end([stopping, *tasks])
    for task in tasks:
        error = None if task.cancelled() or not task.done() else task.exception()
        if error and not is_retriable(error):
            raise error


async def _end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel what is left. Twice, as what closes something in an orderly way may take the first for itself."""
    left = set(tasks)
    for _ in range(2):
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=GRACE)
        if not left:
            return


async def _repeat(loop: Loop, surroundings: Surroundings) -> None:
    """Come round until `stop` is set; an unforeseen error, or a `CancelledError` nobody asked for, is a `LoopDied`."""
    task = asyncio.current_task()
    assert task is not None
    structlog.contextvars.bind_contextvars(loop=loop.name)
    progressed = surroundings.metrics.progressed.labels(loop.name)
    progressed.set_to_current_time()  # or it would have stood still since 1970
    surroundings.liveness.came_round(loop.name)
    while not surroundings.stop.is_set():
        try:
            done = await surroundings.outlast(loop.name, loop.step)
        except JourneyProgressError:
            raise  # says by itself what is wrong
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and task.cancelling():
                raise
            structlog.get_logger(__name__).exception("loop died")  # at once: the drain may take a while
            raise LoopDied(f"loop {loop.name!r} died: {error!r}; this is a bug, its traceback is above") from error
        progressed.set_to_current_time()
        surroundings.liveness.came_round(loop.name)
        if done < loop.full and loop.rest:
            await surroundings.pause(loop.rest, loop.wake)
    surroundings.liveness.ended(loop.name)
