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
from tests.benchmarks.floors import floor
from tests.benchmarks.goals import judged
from tests.benchmarks.latency import latencies
from tests.benchmarks.machine import Cores, pinned
from tests.benchmarks.saturation import Run, saturate
from tests.benchmarks.workloads import Workload, workloads
from tests.servers import Servers, found_servers

FLOORS = {
    "nothing matches": ("consume", "decode"),
    "5 % match": ("decode",),
    "everything matches": ("mongo",),
}
"""What is measured right after a workload, on the same topic."""

ONCE = ("10,000 journeys",)
"""Measured in the first round only: it is about memory."""

Rates = dict[str, float]


@dataclass(frozen=True, slots=True)
class Options:
    """How long to measure: rounds, and whether to be quick about each."""

    rounds: int = 3
    is_quick: bool = False

    @property
    def scale(self) -> float:
        """Share of the statements of a whole measurement."""
        return 0.25 if self.is_quick else 1.0

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
        rounds = [self._round(number) for number in range(self._options.rounds)]
        rates = [rates for rates, _ in rounds]
        runs: dict[str, list[Run]] = defaultdict(list)
        for _, found in rounds:
            for name, run in found.items():
                runs[name].append(run)
        latency = self._latency(median(run.rate for run in runs["everything matches"]) / 3)
        return {
            "servers": self._servers.kind,
            "statements": statements.source(),
            "rates": rates,
            "runs": {name: [run.figures() for run in every] for name, every in runs.items()},
            "medians": {name: _median(every) for name, every in runs.items()},
            "floors": {name: median(it[name] for it in rates) for name in rates[0] if name.startswith("F-")},
            "latency": latency,
            "goals": judged(rates, latency, runs["10,000 journeys"]),
        }

    def _round(self, number: int) -> tuple[Rates, dict[str, Run]]:
        """Measure every workload once, each with its floors; return rates by name, floors too, and the runs."""
        rates: Rates = {}
        runs: dict[str, Run] = {}
        for name, workload in self._workloads.items():
            if number and name in ONCE:
                continue
            runs[name], floors = self._with_floors(workload)
            rates |= {name: runs[name].rate, **floors}
            shown = "".join(f"   {key} {rate:,.0f}/s" for key, rate in floors.items())
            sys.stdout.write(f"  round {number + 1}  {name:<20} {runs[name].rate:>9,.0f}/s{shown}\n")
            sys.stdout.flush()
        return rates, runs

    def _with_floors(self, workload: Workload) -> tuple[Run, Rates]:
        run, settings = asyncio.run(saturate(workload, self._servers, self._cores, self._folder))
        rates = {
            f"F-{name} ({workload.name})": floor(name, settings, workload, self._cores)
            for name in FLOORS.get(workload.name, ())
        }
        return run, rates

    def _latency(self, rate: float) -> dict[str, float]:
        workload, seconds = self._workloads["everything matches"], self._options.latency_seconds
        return asyncio.run(latencies(workload, rate, seconds, self._servers, self._cores, self._folder))


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
    lines.append(f"\n{'goal':<54}{'wanted':>12}{'found':>12}  holds")
    for goal in figures["goals"]:
        found = "-" if goal["found"] is None else f"{goal['found']:,.2f}"
        holds = {True: "yes", False: "NO", None: "not measured"}[goal["holds"]]
        lines.append(f"{goal['goal']:<54}{goal['wanted']:>12}{found:>12}  {holds}")
    sys.stdout.write("\n".join(lines) + "\n")
