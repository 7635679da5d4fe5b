"""One run of a subject: how fast it is when it always has work, and what each process spends on it."""

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from processor.settings import Settings
from tests.acceptance.commands import Running
from tests.benchmarks.machine import Cores, Usage, servers_here, usage_of
from tests.benchmarks.subjects import Subject
from tests.benchmarks.surroundings import Outcome, Watch, fill, prepare, under_test, watching
from tests.benchmarks.workloads import Workload, settings_for
from tests.servers import Servers


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process spent: CPU seconds per million statements, peak and growth of its memory in megabytes."""

    cpu: float
    peak: float
    growth: float


@dataclass(frozen=True, slots=True)
class Run:
    """One workload: statements per second from outside, and the cost of each process by name.

    `start` is where its statements begin in the topic.
    """

    rate: float
    costs: dict[str, Cost]
    start: int

    def figures(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


async def saturate(
    subject: Subject, several: Iterable[Workload], servers: Servers, cores: Cores, folder: Path, found: dict[str, Run]
) -> tuple[Settings, Outcome]:
    """Measure workloads of the same journeys one after the other in one process; put each into `found` by its name.

    Return the settings, by whose topic the floors are measured, and what came of the statements. Raises `Stalled`; what
    was found by then stays.
    """
    settings, workloads = settings_for(servers, uuid4().hex[:12]), list(several)
    await prepare(settings, workloads[0])
    start = 0
    async with watching(settings) as watch, under_test(settings, cores.processor, folder, watch, subject.command) as it:
        for workload in workloads:
            found[workload.name] = await measure(workload, start, settings, watch, it)
            start += workload.total
        return settings, await watch.outcome()


async def measure(workload: Workload, start: int, settings: Settings, watch: Watch, running: Running) -> Run:
    """Measure one workload in a process that has read so many statements before.

    1. warm-up: the process reads the first statements, as one batch, and rests,
    2. the topic is filled, while the process is frozen, so that filling costs it nothing,
    3. it goes on, and the clock runs until the last statement is a committed offset, and its progress an acknowledged
       event.
    """
    process = running.process.pid
    # 1. warm-up
    with _frozen(process):
        await fill(settings, workload, 0, workload.warm_up)
    await watch.until_warm(start + workload.warm_up)
    # 2. fill
    with _frozen(process):
        await fill(settings, workload, workload.warm_up, workload.total)
        pids = {"processor": process, **servers_here()}
        before = {name: usage_of(pid) for name, pid in pids.items()}
    # 3. measure
    started = time.perf_counter()
    await watch.until_done(start + workload.total)
    seconds = time.perf_counter() - started
    return Run(workload.measured / seconds, costs_since(before, pids, workload.measured), start)


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def costs_since(before: Mapping[str, Usage], pids: Mapping[str, int], statements: int) -> dict[str, Cost]:
    """Return what each process has spent since then, by name."""
    return {name: _cost(before[name], usage_of(pid), statements) for name, pid in pids.items()}


def _cost(before: Usage, after: Usage, statements: int) -> Cost:
    return Cost((after.cpu - before.cpu) / statements * 1e6, after.peak, after.resident - before.resident)
