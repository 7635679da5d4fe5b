"""Commands that SIGINT and SIGTERM end, and that remove what they made."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from processor.errors import LoopDied

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def cancelled_by_signals() -> Callable[[], None]:
    """Let SIGINT and SIGTERM cancel the current task; return what its work calls at every step.

    That raises `CancelledError` when the task was cancelled and yet goes on, because a library swallowed it: Python
    3.11's `wait_for` does when what it waits for ends in that moment, and PyMongo sends through it. Not for cleaning
    up, which goes on after a cancellation.
    """
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, task.cancel)

    def heed() -> None:
        if task.cancelling():
            raise asyncio.CancelledError

    return heed


def second_signal() -> asyncio.Event:
    """Return what the second SIGINT or SIGTERM sets, the one that cancelled the task counted: cleaning up has begun.

    One alone does not stop it halfway, whenever it comes; who sends another wants the end.
    """
    task = asyncio.current_task()
    assert task is not None
    loop, second = asyncio.get_running_loop(), asyncio.Event()
    to_come = 1 if task.cancelling() else 2

    def came() -> None:
        nonlocal to_come
        to_come -= 1
        if to_come <= 0:
            second.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, came)
    return second


@contextmanager
def interruption_translated() -> Iterator[None]:
    """Raise `KeyboardInterrupt` when the current task was cancelled, as by a signal.

    A `CancelledError` that nobody asked for is a task's that ended so by itself: it is raised as `LoopDied`.
    """
    task = asyncio.current_task()
    assert task is not None
    try:
        yield
    except asyncio.CancelledError as error:
        if task.cancelling():
            raise KeyboardInterrupt from None
        raise LoopDied("something was cancelled though nobody asked for that; this is a bug") from error
