"""The section `streaming`: every workload beside its floors and the peers, several rounds, and what the goals say."""

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from processor.settings import Settings
from tests.benchmarks import statements
from tests.benchmarks.floors import Floor, floor
from tests.benchmarks.goals import judged
from tests.benchmarks.latency import SETTLING, latencies
from tests.benchmarks.machine import Cores, pinned
from tests.benchmarks.memory import flatness
from tests.benchmarks.saturation import Run, saturate
from tests.benchmarks.scaling import scaling
from tests.benchmarks.subjects import OURS, PEERS, Subject, peers
from tests.benchmarks.surroundings import FAULTS, Outcome
from tests.benchmarks.tables import tell
from tests.benchmarks.workloads import BURST, RETURNING, RETURNING_LEARNERS, Workload, workloads
from tests.servers import Servers, found_servers

FLOORS = {
    "nothing matches": ("consume", "decode"),
    "5 % match": ("decode",),
    "everything matches": ("mongo",),
}
"""What is measured right after our workloads, on the same topic."""

LASTING = 5
"""How many times as many statements tell at which rate everything that matches saturates for longer than a second."""

IN_TIME = 515.0
"""Seconds for all rounds, so that a whole run ends within ten minutes."""

Found = dict[str, Run | Floor]
"""What one round found of ours, by workload or floor."""

Measured = TypeVar("Measured")


@dataclass(frozen=True, slots=True)
class Options:
    """How long to measure: rounds, whether to be quick about each, and whether to read ten million statements."""

    rounds: int = 3
    is_quick: bool = False
    is_long: bool = False

    @property
    def scale(self) -> float:
        """Share of the statements of a whole measurement."""
        return 0.2 if self.is_quick else 1.0

    @property
    def latency_seconds(self) -> float:
        """How long the steady rate is held."""
        return 5.0 if self.is_quick else 10.0

    @property
    def flat_over(self) -> int:
        """Statements that memory has to be flat over."""
        if self.is_long:
            return 10_000_000
        return 100_000 if self.is_quick else 500_000


def main(options: Options, cores: Cores) -> dict[str, Any]:
    """Measure, print and return the figures. The servers are started once, on a core of their own.

    mongod has the cache that it gives itself, as an operator's has: with 0.25 GB it wrote what was dirty once a second,
    and answered nobody for 40 ms (DECISIONS.md, 78).
    """
    with (
        pinned(cores.servers),
        found_servers(mongo_cache=None) as servers,
        TemporaryDirectory(prefix="bench-") as folder,
    ):
        figures = _Rounds(options, servers, cores, Path(folder)).measured()
    tell(figures)
    return figures


class _Rounds:
    def __init__(self, options: Options, servers: Servers, cores: Cores, folder: Path) -> None:
        self._options = options
        self._servers = servers
        self._cores = cores
        self._folder = folder
        self._workloads = workloads(options.scale)
        self._peers: dict[str, dict[int, dict[str, Run]]] = {name: {} for name in PEERS}  # by round
        self._failed: dict[str, str] = {}
        self._latencies: list[dict[str, Any]] = []
        self._scalings: list[dict[str, Any]] = []

    def measured(self) -> dict[str, Any]:
        """Return rates of every round, medians of costs, peers, latencies, and the goals; None for what failed."""
        several = "; ".join(peer.name for peer in peers()) or "no peers: make peers"
        _say(f"  broker: {self._servers.kind}; {statements.source()}; {several}")
        rounds = list(self._rounds())
        runs: dict[str, list[Run]] = defaultdict(list)
        for found in rounds:
            for name, it in found.items():
                if isinstance(it, Run):
                    runs[name].append(it)
        latency = _median(self._latencies, ("saturating", "rate", "p50", "p99", "p999", "most"))
        floors = {name for found in rounds for name, it in found.items() if isinstance(it, Floor)}
        figures = {
            "servers": self._servers.kind,
            "statements": statements.source(),
            "rates": [{name: it.rate for name, it in found.items()} for found in rounds],
            "cpu": [{name: _cpu(it) for name, it in found.items()} for found in rounds],
            "floors": {name: median(it[name].rate for it in rounds if name in it) for name in sorted(floors)},
            "subjects": {
                OURS.name: _medians(runs),
                **{name: _medians(_by_workload(list(by.values()))) for name, by in self._peers.items() if by},
            },
            "peers": {
                name: [_summary(by_round.get(number, {})) for number in range(len(rounds))]
                for name, by_round in self._peers.items()
            },
            "failed": self._failed,
            "latency": latency,
            "latencies": self._latencies,
            "returning": latency and self._tried("documents that exist", lambda: self._returning(latency["rate"])),
            "scaling": _median(self._scalings, ("one", "cpu_one", "two", "cpu_two")),
            "flatness": self._tried("memory over very many statements", self._flatness),
        }
        return {**figures, "goals": judged(figures)}

    def _rounds(self) -> Iterator[Found]:
        """Yield what each round found; none is begun that would not end in time."""
        began = begin = time.monotonic()
        for number in range(self._options.rounds):
            longest = time.monotonic() - begin if number else 0.0
            begin = time.monotonic()
            if begin - began + longest > IN_TIME:
                _say(f"  {self._options.rounds - number} of {self._options.rounds} rounds left out: they take too long")
                return
            yield self._round(number)

    def _round(self, number: int) -> Found:
        """Measure ours: workloads, floors on the same topic, latency, scaling; then every peer on these statements.

        What fails is told and left out.
        """
        usual = [workload for workload in self._workloads.values() if not workload.is_ours_alone]
        runs: dict[str, Run] = {}
        floors: dict[str, Floor] = {}
        ours = self._tried(OURS.name, lambda: self._run(OURS, usual, runs))
        if ours:
            self._tried("a floor", lambda: self._measure_floors(ours[0], runs, floors))
        if number == 0:
            self._measure_alone(runs)
        found: Found = {**runs, **floors}
        _say(_line(number, OURS.name, found))
        latency = self._tried("latency", self._first_promotions)
        self._latencies += [latency] if latency else []
        scaling = self._tried("scaling", self._scaling)
        self._scalings += [scaling] if scaling else []
        for peer in peers():
            if ours and peer.name not in self._failed:
                self._peer(number, peer, usual, ours[1])
        return found

    def _tried(self, what: str, measure: Callable[[], Measured]) -> Measured | None:
        """Return what was measured; None where that failed, which is told and written down."""
        try:
            return measure()
        except FAULTS as error:
            reason = str(error) or type(error).__name__
            self._failed.setdefault(what, reason)
            _say(f"  {what} failed, and is left out: {reason}")
            return None

    def _measure_alone(self, runs: dict[str, Run]) -> None:
        for name, workload in self._workloads.items():
            if workload.is_ours_alone:
                self._tried(name, partial(self._run, OURS, [workload], runs))

    def _measure_floors(self, settings: Settings, runs: Mapping[str, Run], found: dict[str, Floor]) -> None:
        for name, kinds in FLOORS.items():
            for kind in kinds:
                measured = floor(kind, settings, self._workloads[name], runs[name].start, self._cores)
                found[f"F-{kind} ({name})"] = measured

    def _run(self, subject: Subject, several: Sequence[Workload], runs: dict[str, Run]) -> tuple[Settings, Outcome]:
        return asyncio.run(saturate(subject, several, self._servers, self._cores, self._folder, runs))

    def _peer(self, number: int, peer: Subject, several: Sequence[Workload], ours: Outcome) -> None:
        """Measure a peer; one that fails, or does not do the same job, is told and left out from then on."""
        runs: dict[str, Run] = {}
        shorter = [replace(it, measured=it.measured // it.shorter) for it in several]
        ran = self._tried(peer.name, lambda: self._run(peer, shorter, runs))
        if ran is None:
            return
        if not ours.is_of_the_same_job(ran[1]):
            self._failed[peer.name] = f"it did another job: {ran[1]}, and ours is {ours}"
            _say(f"  {peer.name} is left out from here on: {self._failed[peer.name]}")
            return
        self._peers[peer.name][number] = runs
        _say(_line(number, peer.name, runs))

    def _first_promotions(self) -> dict[str, Any]:
        """Measure at a third of the rate that saturates for about half as long as this takes.

        In its first seconds mongod only keeps what is new, and is faster than when it writes besides (DECISIONS, 143).
        """
        workload = self._workloads["everything matches"]
        lasting = replace(workload, measured=LASTING * workload.measured)
        return self._latency(lasting, None, self._options.latency_seconds)

    def _latency(self, workload: Workload, rate: float | None, seconds: float) -> dict[str, Any]:
        return asyncio.run(latencies(workload, rate, seconds, self._servers, self._cores, self._folder))

    def _returning(self, rate: float) -> dict[str, Any]:
        """Measure documents that exist, at a fifth of the rate, as each is looked for and read besides being written.

        No faster than that the last statement of each learner still counts.
        """
        seconds = 3 * self._options.latency_seconds
        most = RETURNING_LEARNERS * (BURST - 2) / (SETTLING + seconds)
        return self._latency(RETURNING, min(rate / 5, most), seconds)

    def _scaling(self) -> dict[str, Any]:
        return asyncio.run(scaling(self._workloads["nothing matches"], self._servers, self._cores, self._folder))

    def _flatness(self) -> dict[str, Any]:
        workload, total = self._workloads["nothing matches"], self._options.flat_over
        return asyncio.run(flatness(workload, total, self._servers, self._cores, self._folder))


def _by_workload(every: Sequence[Mapping[str, Run]]) -> Mapping[str, Sequence[Run]]:
    names = dict.fromkeys(name for runs in every for name in runs)
    return {name: [runs[name] for runs in every if name in runs] for name in names}


def _median(several: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> dict[str, Any] | None:
    """Return the medians of some figures of several rounds; what else there is is the first round's. None of none."""
    if not several:
        return None
    return {**several[0], **{key: round(median(it[key] for it in several), 3) for key in keys}}


def _medians(runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Return the medians of rate and costs by workload."""
    return {
        name: {
            "rate": median(run.rate for run in every),
            "costs": {
                process: {
                    key: median(getattr(run.costs[process], key) for run in every if process in run.costs)
                    for key in ("cpu", "peak", "growth")
                }
                for process in every[0].costs
            },
        }
        for name, every in runs.items()
    }


def _summary(runs: Mapping[str, Run]) -> dict[str, dict[str, float]]:
    """Return rate and CPU seconds per million by workload, of a peer in one round."""
    return {name: {"rate": it.rate, "cpu": it.costs["processor"].cpu} for name, it in runs.items()}


def _cpu(found: Run | Floor) -> dict[str, float]:
    """Return CPU seconds per million by process."""
    if isinstance(found, Floor):
        return found.costs
    return {name: cost.cpu for name, cost in found.costs.items()}


def _line(number: int, subject: str, found: Mapping[str, Run | Floor]) -> str:
    return f"  round {number + 1}  {subject}: " + ", ".join(f"{key} {it.rate:,.0f}/s" for key, it in found.items())


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
