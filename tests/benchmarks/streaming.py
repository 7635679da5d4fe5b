"""The section `streaming`: every workload beside its floors, several rounds, and what the goals say about it."""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from tests.benchmarks import statements
from tests.benchmarks.floors import Floor, floor
from tests.benchmarks.goals import judged
from tests.benchmarks.latency import latencies
from tests.benchmarks.machine import Cores, pinned
from tests.benchmarks.saturation import Run, saturate
from tests.benchmarks.workloads import workloads
from tests.servers import Servers, found_servers

FLOORS = {
    "nothing matches": ("consume", "decode"),
    "5 % match": ("decode",),
    "everything matches": ("mongo",),
}
"""What is measured right after a workload, on the same topic."""

ONCE = ("10,000 journeys",)
"""Measured in the first round only: it is about memory."""

Found = dict[str, Run | Floor]
"""What one round found, by workload or floor."""


@dataclass(frozen=True, slots=True)
class Options:
    """How long to measure: rounds, and whether to be quick about each."""

    rounds: int = 3
    is_quick: bool = False

    @property
    def scale(self) -> float:
        """Share of the statements of a whole measurement."""
        return 0.2 if self.is_quick else 1.0

    @property
    def latency_seconds(self) -> float:
        """How long the steady rate is held."""
        return 5.0 if self.is_quick else 15.0


def main(options: Options, cores: Cores) -> dict[str, Any]:
    """Measure, print and return the figures. The servers are started once, on a core of their own."""
    with pinned(cores.servers), found_servers() as servers, TemporaryDirectory(prefix="bench-") as folder:
        figures = _Rounds(options, servers, cores, Path(folder)).measured()
    _tell(figures)
    return figures


class _Rounds:
    def __init__(self, options: Options, servers: Servers, cores: Cores, folder: Path) -> None:
        self._options = options
        self._servers = servers
        self._cores = cores
        self._folder = folder
        self._workloads = workloads(options.scale)

    def measured(self) -> dict[str, Any]:
        """Return rates of every round, medians of costs, latencies, and the goals."""
        sys.stdout.write(f"  broker: {self._servers.kind}; {statements.source()}\n")
        rounds = [self._round(number) for number in range(self._options.rounds)]
        rates = [{name: it.rate for name, it in found.items()} for found in rounds]
        costs = [{name: _cpu(it) for name, it in found.items()} for found in rounds]
        runs: dict[str, list[Run]] = defaultdict(list)
        for found in rounds:
            for name, it in found.items():
                if isinstance(it, Run):
                    runs[name].append(it)
        latency = self._latency(median(run.rate for run in runs["everything matches"]) / 3)
        return {
            "servers": self._servers.kind,
            "statements": statements.source(),
            "rates": rates,
            "cpu": costs,
            "runs": {name: [run.figures() for run in every] for name, every in runs.items()},
            "medians": {name: _median(every) for name, every in runs.items()},
            "floors": {name: median(it[name] for it in rates) for name in rates[0] if name.startswith("F-")},
            "latency": latency,
            "goals": judged(rates, costs, latency, runs["10,000 journeys"]),
        }

    def _round(self, number: int) -> Found:
        """Measure every workload once, each with its floors right after it, on the same topic."""
        found: Found = {}
        for name, workload in self._workloads.items():
            if number and name in ONCE:
                continue
            run, settings = asyncio.run(saturate(workload, self._servers, self._cores, self._folder))
            floors = {
                f"F-{kind} ({name})": floor(kind, settings, workload, self._cores) for kind in FLOORS.get(name, ())
            }
            found |= {name: run, **floors}
            shown = "".join(f"   {key} {it.rate:,.0f}/s" for key, it in floors.items())
            sys.stdout.write(f"  round {number + 1}  {name:<20} {run.rate:>9,.0f}/s{shown}\n")
            sys.stdout.flush()
        return found

    def _latency(self, rate: float) -> dict[str, float]:
        workload, seconds = self._workloads["everything matches"], self._options.latency_seconds
        return asyncio.run(latencies(workload, rate, seconds, self._servers, self._cores, self._folder))


def _cpu(found: Run | Floor) -> dict[str, float]:
    """Return CPU seconds per million by process."""
    if isinstance(found, Floor):
        return found.costs
    return {name: cost.cpu for name, cost in found.costs.items()}


def _median(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the medians of rate and costs."""
    return {
        "rate": median(run.rate for run in runs),
        "costs": {
            process: {
                key: median(getattr(run.costs[process], key) for run in runs) for key in ("cpu", "peak", "growth")
            }
            for process in runs[0].costs
        },
    }


def _tell(figures: dict[str, Any]) -> None:
    """Print the tables."""
    processes = list(next(iter(figures["medians"].values()))["costs"])
    lines = [f"\n{'medians':<22}{'statements/s':>13}" + "".join(f"{name:>22}" for name in processes)]
    lines.append(" " * 35 + f"{'CPU s/million, peak':>22}" * len(processes))
    for name, found in figures["medians"].items():
        costs = "".join(f"{cost['cpu']:>13,.0f} {cost['peak']:>5,.0f} MB" for cost in found["costs"].values())
        lines.append(f"{name:<22}{found['rate']:>13,.0f}{costs}")
    lines += [f"{name:<32}{rate:>9,.0f}/s" for name, rate in figures["floors"].items()]
    latency = figures["latency"]
    lines.append(
        f"produce to event at {latency['rate']:,.0f}/s: p50 {latency['p50']} ms, p99 {latency['p99']} ms, "
        f"p999 {latency['p999']} ms, most {latency['most']} ms"
    )
    lines.append(f"\n{'goal':<54}{'wanted':>8}{'found':>10}{'by CPU':>8}  holds")
    for goal in figures["goals"]:
        found, by_cpu = ("" if goal[key] is None else f"{goal[key]:,.2f}" for key in ("found", "by_cpu"))
        holds = {True: "yes", False: "NO", None: "not measured"}[goal["holds"]]
        lines.append(f"{goal['goal']:<54}{goal['wanted']:>8}{found:>10}{by_cpu:>8}  {holds}")
    sys.stdout.write("\n".join(lines) + "\n")
