"""Two processes on two partitions, and one on both: what a second process brings."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.benchmarks.machine import Cores, usage_of
from tests.benchmarks.surroundings import DEADLINE, LOOK, fill, prepare, under_test, watching
from tests.benchmarks.workloads import Workload, settings_for
from tests.servers import Servers

PARTITIONS = 2


async def scaling(workload: Workload, servers: Servers, cores: Cores, folder: Path) -> dict[str, Any]:
    """Return rates and CPU seconds per million statements of one process and of two; the workload needs no MongoDB.

    `has_cores` tells whether each process had a core to itself, beside the servers'. Where it had not, rates cannot
    tell, but what the processes spend does: two that together spend no more a statement than one would do twice its
    work. Each process reads as many statements as one does of another workload: with half, what it does at once when
    it goes on, after it was frozen, is a tenth of what it spends.
    """
    workload = replace(workload, measured=PARTITIONS * workload.measured)
    one, cpu_one = await _measured(workload, servers, [cores.processor], folder)
    two, cpu_two = await _measured(workload, servers, [cores.processor, cores.second], folder)
    has_cores = cores.second not in (cores.servers, cores.processor)
    return {"one": one, "cpu_one": cpu_one, "two": two, "cpu_two": cpu_two, "has_cores": has_cores}


async def _measured(workload: Workload, servers: Servers, places: Sequence[int], folder: Path) -> tuple[float, float]:
    """Measure as `saturation.py` does, with a process in each place; they share the partitions evenly."""
    settings = settings_for(servers, uuid4().hex[:12]).model_copy(update={"topic_partitions": PARTITIONS})
    first = workload.warm_up
    await prepare(settings, workload)
    async with watching(settings) as watch, AsyncExitStack() as stack:
        running = [await stack.enter_async_context(under_test(settings, it, folder, watch)) for it in places]
        async with asyncio.timeout(DEADLINE):
            while not all(it.holds(PARTITIONS // len(places)) for it in running):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(LOOK)
        for partition in range(PARTITIONS):
            await fill(settings, workload, partition, first, partition, PARTITIONS)
        await watch.until_warm(first)
        for it in running:
            os.kill(it.process.pid, signal.SIGSTOP)
        for partition in range(PARTITIONS):
            await fill(settings, workload, first + partition, workload.total, partition, PARTITIONS)
        before = sum(usage_of(it.process.pid).cpu for it in running)
        for it in running:
            os.kill(it.process.pid, signal.SIGCONT)
        started = time.perf_counter()
        await watch.until_done(workload.total)
        seconds = time.perf_counter() - started
        spent = sum(usage_of(it.process.pid).cpu for it in running) - before
    return workload.measured / seconds, spent / workload.measured * 1e6
