"""The goals, as data, and whether they hold (one process on one core, the servers on the other; medians)."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from tests.benchmarks.subjects import OURS

CLOSE = 0.9
"""The share of the unmatched figure that counts as close to it."""

FASTER = 2.0
"""Times as fast as each peer."""

FLAT = 10.0
"""Megabytes that a process may have grown by between the first and the last tenth of the statements."""

FLOORS = ("F-decode", "F-mongo")
"""What a workload is compared with, where it was measured beside it."""

MEMORY = "10,000 journeys"
"""The workload that is about memory; ours only."""

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


def judged(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each goal with what is wanted, the median of what was found, and whether it holds.

    `by_cpu` is the same ratio in CPU seconds of the process that has most of the work: it tells something on a machine
    that others use too, where rates do not.
    """
    latency, scaling, flat = figures["latency"], figures["scaling"], figures["flatness"]
    memory = figures["subjects"][OURS.name][MEMORY]["costs"]["processor"]["peak"]
    return [
        *(_ratio(it, figures["rates"], figures["cpu"]) for it in RATIOS),
        _below("p50 from produce to event at a third of the rate, ms", 15, latency["p50"]),
        _below("p99 from produce to event at a third of the rate, ms", 50, latency["p99"]),
        _scales(scaling),
        _below(f"growth of memory over {flat['statements']:,} statements, MB", FLAT, flat["growth"]),
        _below("peak memory with 10,000 journeys, MB", 300, memory),
        *_peers(figures["subjects"]),
    ]


def floor_of(workload: str, floors: Mapping[str, float]) -> float | None:
    """Return the floor that a workload is compared with."""
    return next((rate for kind in FLOORS if (rate := floors.get(f"{kind} ({workload})"))), None)


def _ratio(wanted: Ratio, rates: Sequence[Rates], costs: Sequence[Costs]) -> dict[str, Any]:
    found = median(it[wanted.rate] / it[wanted.base] for it in rates)
    spent = [(it[wanted.base].get(wanted.process), it[wanted.rate].get(wanted.process)) for it in costs]
    by_cpu = [base / own for base, own in spent if base and own]
    return _at_least(wanted.goal, wanted.least, found, median(by_cpu) if by_cpu else None)


def _scales(scaling: Mapping[str, Any]) -> dict[str, Any]:
    """Two processes of one's cost each do twice the work, where each has a core; CPU decides where they have not."""
    by_cpu = 2 * scaling["cpu_one"] / scaling["cpu_two"]
    goal = _at_least("two processes on two partitions, of one", 1.8, scaling["two"] / scaling["one"], by_cpu)
    return goal if scaling["has_cores"] else {**goal, "holds": by_cpu >= 1.8}


def _peers(subjects: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Of every workload, the peer that comes nearest."""
    ours, *others = subjects.values()
    for workload, own in ours.items():
        there = {name: it[workload] for name, it in zip(list(subjects)[1:], others, strict=True) if workload in it}
        if there:
            nearest = max(there, key=lambda name: there[name]["rate"])
            cpu = there[nearest]["costs"]["processor"]["cpu"] / own["costs"]["processor"]["cpu"]
            yield _at_least(f"{workload}, of {nearest}", FASTER, own["rate"] / there[nearest]["rate"], cpu)


def _below(goal: str, wanted: float, found: float) -> dict[str, Any]:
    return _goal(goal, f"< {wanted:g}", found, found < wanted, None)


def _at_least(goal: str, least: float, found: float, by_cpu: float | None) -> dict[str, Any]:
    return _goal(goal, f">= {least:g}", found, found >= least, by_cpu)


def _goal(goal: str, wanted: str, found: float, holds: bool, by_cpu: float | None) -> dict[str, Any]:
    by_cpu = None if by_cpu is None else round(by_cpu, 3)
    return {"goal": goal, "wanted": wanted, "found": round(found, 3), "holds": holds, "by_cpu": by_cpu}
