"""Commands that SIGINT and SIGTERM end, and that remove what they made."""

import asyncio
import signal
from collections.abc import Callable


def cancelled_by_signals() -> Callable[[], None]:
    """Let SIGINT and SIGTERM cancel the current task; return what its work calls at every step.

    That raises `CancelledError` when the task was cancelled and yet goes on, because a library swallowed it: Python
    3.11's `wait_for` does when what it waits for ends in that moment, and PyMongo sends through it. Not for cleaning
    up, which goes on after a cancellation.
    """
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)

    def heed() -> None:
        if task.cancelling():
            raise asyncio.CancelledError

    return heed
