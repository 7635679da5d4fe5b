"""One run of one workload: how fast the process is when it always has work, and what each process spends on it."""

import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from processor.settings import Settings
from tests.benchmarks.machine import Cores, Usage, servers_here, usage_of
from tests.benchmarks.statements import documents
from tests.benchmarks.surroundings import prepare, publish, under_test, watching
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
    """One run: statements per second from outside, and the cost of each process by name."""

    rate: float
    costs: dict[str, Cost]

    def figures(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


async def saturate(workload: Workload, servers: Servers, cores: Cores, folder: Path) -> tuple[Run, Settings]:
    """Measure one run; return it with the settings, by whose topic the floors are measured.

    1. warm-up: the process joins the group, reads the first statements, and rests,
    2. it is frozen (SIGSTOP) while the topic is filled, so that filling costs it nothing,
    3. it goes on, and the clock runs until the last statement is a committed offset, and its progress an acknowledged
       event.
    """
    settings = settings_for(servers, uuid4().hex[:12])
    await prepare(settings, workload)
    stream = documents(range(workload.total), workload.learner, workload.activity)
    values = list(stream)
    async with watching(settings) as watch, under_test(settings, cores, folder) as process:
        # 1. warm-up
        await publish(settings, values[: workload.warm_up])
        await watch.until_warm(workload.warm_up)
        # 2. fill
        os.kill(process.process.pid, signal.SIGSTOP)
        try:
            await publish(settings, values[workload.warm_up :])
            pids = {"processor": process.process.pid, **servers_here()}
            before = {name: usage_of(pid) for name, pid in pids.items()}
        finally:
            os.kill(process.process.pid, signal.SIGCONT)
        # 3. measure
        started = time.perf_counter()
        await watch.until_done(workload.total)
        seconds = time.perf_counter() - started
        costs = {name: _cost(before[name], usage_of(pid), workload.measured) for name, pid in pids.items()}
    return Run(workload.measured / seconds, costs), settings


def _cost(before: Usage, after: Usage, statements: int) -> Cost:
    return Cost((after.cpu - before.cpu) / statements * 1e6, after.peak, after.resident - before.resident)
