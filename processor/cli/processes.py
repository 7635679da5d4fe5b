"""`--processes N`: the parent. It has no loops and no connections; it starts its children, watches them and ends them.

Each child is the same command in a fresh interpreter (nothing is forked), with an event loop of its own.
"""

import asyncio
import itertools
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from prometheus_client.multiprocess import mark_process_dead

from processor.app import LETTING_GO
from processor.cli.children import Words, own_settings
from processor.errors import InvalidSettings
from processor.metrics import SHARED
from processor.settings import Settings

DEATHS = 5
WINDOW = 120.0
"""A child that dies DEATHS times within WINDOW seconds is not started again: all end with its exit code."""

REFUSED = (2, 65, 78)
"""Exit codes of what no restart mends: wrong usage, refused input, a wrong setting or a server that is not fit."""

ASKED = (0, 130, -signal.SIGTERM, -signal.SIGINT, -signal.SIGKILL)
"""How a child may end that was asked to; the last, when it was late."""

NOT_ASKED = 70
"""The exit code when a child ends again and again as if it had been asked to, or cannot be started."""


def time_to_end(settings: Settings) -> float:
    """Return how many seconds a process may take that was asked to end.

    Its loops have SHUTDOWN_DEADLINE, and then with HTTP_API the requests in hand as long again.
    """
    return settings.shutdown_deadline * (2 if settings.http_api else 1) + LETTING_GO


@dataclass(frozen=True, slots=True)
class Command:
    """How the child with this number is started."""

    number: int
    arguments: Sequence[str]
    environment: Mapping[str, str]


@contextmanager
def children(settings: Settings, part: str, count: int, env_file: Path | None) -> Iterator[tuple[list[Command], Words]]:
    """Yield how the children are started, and the words they will leave; their directory goes at the end.

    Raises `InvalidSettings` when there is no place for it.
    """
    try:
        temporary = TemporaryDirectory(prefix="journey-progress-")
    except OSError as error:
        raise InvalidSettings(
            f"--processes needs a directory that may be written to: set TMPDIR to one ({error.strerror})"
        ) from None
    with temporary as directory:
        file = ["--env-file", str(env_file)] if env_file else []
        start = [sys.executable, "-P", "-m", "processor.cli.main", *file, part, "--processes", str(count)]
        commands = [
            Command(
                number,
                [*start, "--child", str(number)],
                {**os.environ, **own_settings(settings, number), SHARED: directory},
            )
            for number in range(1, count + 1)
        ]
        yield commands, Words(Path(directory), count)


@dataclass(frozen=True, slots=True)
class Parent:
    """Watches the children until `stop` is set.

    They have `deadline` seconds to end then; `backoff` is the longest pause before one is started again.
    """

    commands: Sequence[Command]
    words: Words
    stop: asyncio.Event
    deadline: float
    backoff: float

    async def watch(self) -> int:
        """Run the children; return the exit code. The first starts alone: what is wrong at the start is said once.

        Whatever goes wrong here, all children have ended, drained, before it is raised.
        """
        first, *others = self.commands
        keepers = [asyncio.create_task(self._keep(first))]
        try:
            await self._begun(first, keepers[0])
            if not (self.stop.is_set() or keepers[0].done()):
                keepers += [asyncio.create_task(self._keep(command)) for command in others]
            await asyncio.wait(keepers, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.stop.set()
            await asyncio.wait(keepers)
        codes = [keeper.result() for keeper in keepers]
        return next((code for code in codes if code), 0)

    async def _begun(self, command: Command, keeper: "asyncio.Task[int]") -> None:
        while not (self.stop.is_set() or keeper.done()):
            word = self.words.heard(command.number)
            if word and word.has_begun:
                return
            await asyncio.wait([keeper], timeout=0.1)

    async def _keep(self, command: Command) -> int:
        """Run a child, and again when it died, until `stop` is set or it cannot go on; return the exit code."""
        log = structlog.get_logger(__name__)
        deaths: deque[float] = deque(maxlen=DEATHS)
        for life in itertools.count():
            try:
                code = await self._lived(command)
            except OSError as error:  # no memory or no descriptor is free: for a moment, mostly
                log.warning("process could not be started", process=command.number, error=str(error))
                code = NOT_ASKED
            if self.stop.is_set():
                return 0 if code in ASKED else _status(code)
            if code in REFUSED:
                return code
            deaths.append(time.monotonic())
            if len(deaths) == DEATHS and deaths[-1] - deaths[0] < WINDOW:
                log.error("process died again and again: all end", process=command.number, exit_code=code)
                break
            pause = min(self.backoff, 0.5 * 2 ** min(life, 10))
            log.warning("process died, starting it again", process=command.number, exit_code=code, pause_seconds=pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), pause)
            if self.stop.is_set():
                return 0
        return _status(code) or NOT_ASKED

    async def _lived(self, command: Command) -> int:
        """Start a child and wait for its end; when `stop` is set ask it to end, and kill it when it is late."""
        log = structlog.get_logger(__name__)
        child = await asyncio.create_subprocess_exec(
            *command.arguments,
            env=command.environment,
            stdin=asyncio.subprocess.PIPE,  # nothing is ever written: its end tells the child that we are gone
        )
        log.info("process started", process=command.number, pid=child.pid)
        ended = asyncio.create_task(child.wait())
        stopping = asyncio.create_task(self.stop.wait())
        await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            with suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)
            _, late = await asyncio.wait([ended], timeout=self.deadline)
            if late:
                log.warning("killed at the deadline: its work is done again", process=command.number)
                child.kill()
        code = await ended
        mark_process_dead(child.pid, str(self.words.directory))  # type: ignore[no-untyped-call]  # it has no type here
        self.words.forget(command.number)
        return code


def _status(code: int) -> int:
    """Return an exit code as shells say it: a signal is 128 and its number."""
    return 128 - code if code < 0 else code
