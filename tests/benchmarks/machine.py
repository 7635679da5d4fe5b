"""The machine: what it is, which core is whose, and what each process costs (from /proc: Linux)."""

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Cores:
    """One core for the process under test, another for the servers; the same where there is one.

    `second` is for a second process under test: the servers', where there is no third. `harness` is for what sends and
    waits while latency is timed: a third, or the process's, which has more room at that rate than the servers'.
    """

    processor: int
    servers: int
    second: int
    harness: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has cost so far: CPU seconds; resident memory now and at its peak, in megabytes."""

    cpu: float
    resident: float
    peak: float


def choose_cores() -> Cores:
    """Take the first and the last core that we may use."""
    allowed = sorted(os.sched_getaffinity(0))
    third = allowed[-2] if len(allowed) > 2 else None
    return Cores(
        processor=allowed[-1],
        servers=allowed[0],
        second=allowed[0] if third is None else third,
        harness=allowed[-1] if third is None else third,
    )


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keep this thread on a core; what is started meanwhile inherits it, and stays there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def usage_of(pid: int) -> Usage:
    """Read what a running process has cost; raises `OSError` when it has ended."""
    fields = _stat(pid)
    status = dict(line.split(":", 1) for line in (PROC / str(pid) / "status").read_text().splitlines())
    if "VmRSS" not in status:  # dead, and not waited for yet
        raise ProcessLookupError(f"process {pid} has ended")
    resident, peak = (int(status[name].split()[0]) * 1024 / MEGABYTE for name in ("VmRSS", "VmHWM"))
    return Usage((int(fields[11]) + int(fields[12])) / TICKS, resident, peak)


def servers_here() -> Mapping[str, int]:
    """Return name and pid of the servers that we started; none where they run elsewhere or in containers."""
    processes = {pid: (name, parent) for pid, name, parent in _processes()}
    ours = {os.getpid()}
    while children := {pid for pid, (_, parent) in processes.items() if parent in ours} - ours:
        ours |= children
    names = {name: pid for pid, (name, _) in processes.items() if pid in ours}
    return {name: names[name] for name in sorted(names) if not name.startswith(("python", "make", "journey"))}


def describe(cores: Cores) -> dict[str, Any]:
    """Say what figures depend on."""
    cpu = [
        line.split(":", 1)[1].strip() for line in (PROC / "cpuinfo").read_text().splitlines() if "model name" in line
    ]
    memory = int((PROC / "meminfo").read_text().split()[1]) * 1024
    return {
        "cpu": cpu[0] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "processor_core": cores.processor,
        "servers_core": cores.servers,
        "harness_core": cores.harness,
        "load_before": round(os.getloadavg()[0], 2),
    }


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the command, which may have blanks and brackets in it."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _processes() -> Iterator[tuple[int, str, int]]:
    """Yield pid, name and parent of all that run; they come and go while we look."""
    for entry in PROC.glob("[0-9]*"):
        try:
            state, parent, *_ = _stat(int(entry.name))
            name = (entry / "comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":  # dead, and not waited for yet
            yield int(entry.name), name, int(parent)
