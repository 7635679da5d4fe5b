"""The goals, as data, and whether they hold (one process on one core, the servers on the other; medians)."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from tests.benchmarks.subjects import OURS
from tests.benchmarks.workloads import workloads

CLOSE = 0.9
"""The share of the unmatched figure that counts as close to it."""

FASTER = 2.0
"""Times as fast as each peer."""

FLAT = 10.0
"""Megabytes that a process may have grown by between the first and the last tenth of the statements."""

FLOORS = ("F-decode", "F-mongo")
"""What a workload is compared with, where it was measured beside it."""

MEMORY = "10,000 journeys"
"""The workload that is about memory."""

Rates = Mapping[str, float]
Costs = Mapping[str, Mapping[str, float]]
"""CPU seconds per million by workload or floor, and by process."""


class Ratio(NamedTuple):
    """Two rates of the same round, and what the one has to be of the other; `process` has most of the work."""

    goal: str
    rate: str
    base: str
    least: float
    process: str = "processor"


RATIOS = (
    Ratio("nothing matches, of F-decode", "nothing matches", "F-decode (nothing matches)", 1.0),
    Ratio("5 % match, of F-decode", "5 % match", "F-decode (5 % match)", 0.6),
    Ratio("everything matches, of F-mongo", "everything matches", "F-mongo (everything matches)", 0.8, "mongod"),
    Ratio("bursts of 20 a learner, of everything matches", "bursts of 20", "everything matches", 3.0),
    Ratio("completed, of nothing matches", "completed", "nothing matches", CLOSE),
)


class Against(NamedTuple):
    """How many times as fast as a peer ours is, and the same in CPU seconds: medians over the rounds that had both."""

    rate: float
    by_cpu: float


def judged(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each goal with what is wanted, the median of what was found, and whether it holds.

    `by_cpu` is the same ratio in CPU seconds of the process that has most of the work: it tells something on a machine
    that others use too, where rates do not. What was not measured does not hold, and `why` says so.
    """
    latency, flat = figures["latency"], figures["flatness"]
    memory = figures["subjects"][OURS.name].get(MEMORY)
    over = f"{flat['statements']:,}" if flat else "very many"
    return [
        *(_ratio(it, figures["rates"], figures["cpu"]) for it in RATIOS),
        _below("p50 from produce to event at a third of the rate, ms", 15, latency and latency["p50"]),
        _below("p99 from produce to event at a third of the rate, ms", 50, latency and latency["p99"]),
        _scales(figures["scaling"]),
        _below(f"growth of memory over {over} statements, MB", FLAT, flat and flat["growth"]),
        _below("peak memory with 10,000 journeys, MB", 300, memory and memory["costs"]["processor"]["peak"]),
        *_peers(figures),
    ]


def against(figures: Mapping[str, Any], peer: str, workload: str) -> Against | None:
    """Compare ours with a peer round by round, as a machine has better and worse minutes; None where one is missing."""
    rounds = zip(figures["rates"], figures["cpu"], figures["peers"][peer], strict=True)
    both = [
        Against(rates[workload] / theirs[workload]["rate"], theirs[workload]["cpu"] / costs[workload]["processor"])
        for rates, costs, theirs in rounds
        if workload in rates and workload in theirs
    ]
    return Against(median(it.rate for it in both), median(it.by_cpu for it in both)) if both else None


def floor_of(workload: str, floors: Mapping[str, float]) -> float | None:
    """Return the floor that a workload is compared with."""
    return next((rate for kind in FLOORS if (rate := floors.get(f"{kind} ({workload})"))), None)


def _ratio(wanted: Ratio, rates: Sequence[Rates], costs: Sequence[Costs]) -> dict[str, Any]:
    ratios = [it[wanted.rate] / it[wanted.base] for it in rates if wanted.rate in it and wanted.base in it]
    spent = [(it.get(wanted.base, {}).get(wanted.process), it.get(wanted.rate, {}).get(wanted.process)) for it in costs]
    by_cpu = [base / own for base, own in spent if base and own]
    found = median(ratios) if ratios else None
    return _at_least(wanted.goal, wanted.least, found, median(by_cpu) if by_cpu else None)


def _scales(scaling: Mapping[str, Any] | None) -> dict[str, Any]:
    """Two processes of one's cost each do twice the work, where each has a core; CPU decides where they have not."""
    name = "two processes on two partitions, of one"
    if scaling is None:
        return _at_least(name, 1.8, None, None)
    by_cpu = 2 * scaling["cpu_one"] / scaling["cpu_two"]
    goal = _at_least(name, 1.8, scaling["two"] / scaling["one"], by_cpu)
    return goal if scaling["has_cores"] else {**goal, "holds": by_cpu >= 1.8}


def _peers(figures: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Of every workload, the peer that comes nearest; while one has no figure nobody knows that it is not that one."""
    for workload in (name for name, it in workloads(1).items() if not it.is_ours_alone):
        there = {peer: it for peer in figures["peers"] if (it := against(figures, peer, workload))}
        nearest = min(there, key=lambda peer: there[peer].rate, default=None)
        rate, by_cpu = there[nearest] if nearest else (None, None)
        goal = _at_least(f"{workload}, of {nearest or 'the nearest peer'}", FASTER, rate, by_cpu)
        if missing := [peer for peer in figures["peers"] if peer not in there]:
            goal |= {"holds": False, "why": f"no figure of {', '.join(missing)}"}
        yield goal


def _below(goal: str, wanted: float, found: float | None) -> dict[str, Any]:
    return _goal(goal, f"< {wanted:g}", found, found is not None and found < wanted, None)


def _at_least(goal: str, least: float, found: float | None, by_cpu: float | None) -> dict[str, Any]:
    return _goal(goal, f">= {least:g}", found, found is not None and found >= least, by_cpu)


def _goal(goal: str, wanted: str, found: float | None, holds: bool, by_cpu: float | None) -> dict[str, Any]:
    found, by_cpu = (None if it is None else round(it, 3) for it in (found, by_cpu))
    why = "not measured" if found is None else ""
    return {"goal": goal, "wanted": wanted, "found": found, "holds": holds, "by_cpu": by_cpu, "why": why}
