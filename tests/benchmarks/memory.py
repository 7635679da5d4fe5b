"""Is a process's memory flat over very many statements? Its resident memory is looked at again and again."""

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

from tests.benchmarks.machine import Cores, usage_of
from tests.benchmarks.surroundings import prepare, publish, under_test, watching
from tests.benchmarks.workloads import Workload, settings_for, values
from tests.servers import Servers

SAMPLES = 20


async def flatness(workload: Workload, total: int, servers: Servers, cores: Cores, folder: Path) -> dict[str, Any]:
    """Let one process read so many statements, the workload's again and again; return what it held meanwhile.

    `growth` is from the first tenth of the samples to the last, in megabytes. The statements come in portions, each
    once the last is done, so that what lies ready does not depend on how fast the process is.
    """
    settings, stream = settings_for(servers, uuid4().hex[:12]), tuple(values(workload))
    await prepare(settings, workload)
    resident: list[float] = []
    async with watching(settings) as watch, under_test(settings, cores.processor, folder, watch) as running:
        await publish(settings, stream[: workload.warm_up])
        await watch.until_warm(done := workload.warm_up)
        for number in range(SAMPLES):
            until = workload.warm_up + total * (number + 1) // SAMPLES
            while done < until:
                portion = stream[: until - done]
                await publish(settings, portion)
                done += len(portion)
                await watch.until_done(done)
            resident.append(usage_of(running.process.pid).resident)
            if total >= 1_000_000:
                sys.stdout.write(f"  {done:,} statements: {resident[-1]:.1f} MB\n")
                sys.stdout.flush()
    return {"statements": total, "resident": resident, "growth": _growth(resident)}


def _growth(resident: Sequence[float]) -> float:
    tenth = max(len(resident) // 10, 1)
    return median(resident[-tenth:]) - median(resident[:tenth])
