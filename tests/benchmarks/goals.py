"""The goals, as data, and whether they hold (one process on one core, the servers on the other; medians)."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from tests.benchmarks.saturation import Run

CLOSE = 0.9
"""The share of the unmatched figure that counts as close to it."""

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


def judged(
    rates: Sequence[Rates], costs: Sequence[Costs], latency: Mapping[str, float], memory: Sequence[Run]
) -> list[dict[str, Any]]:
    """Return each goal with what is wanted, the median of what was found, and whether it holds.

    `by_cpu` is the same ratio in CPU seconds of the process that has most of the work: it tells something on a machine
    that others use too, where rates do not.
    """
    peak = max(run.costs["processor"].peak for run in memory)
    return [
        *(_ratio(it, rates, costs) for it in RATIOS),
        _below("p50 from produce to event at a third of the rate, ms", 15, latency["p50"]),
        _below("p99 from produce to event at a third of the rate, ms", 50, latency["p99"]),
        _below("peak memory with 10,000 journeys, MB", 300, peak),
        _open("memory flat over 10 million statements"),
        _open("two processes on two partitions, of one"),
    ]


def _ratio(wanted: Ratio, rates: Sequence[Rates], costs: Sequence[Costs]) -> dict[str, Any]:
    found = median(it[wanted.rate] / it[wanted.base] for it in rates)
    spent = [(it[wanted.base].get(wanted.process), it[wanted.rate].get(wanted.process)) for it in costs]
    by_cpu = [base / own for base, own in spent if base and own]
    goal = _goal(wanted.goal, f">= {wanted.least:g}", found, found >= wanted.least)
    return {**goal, "by_cpu": round(median(by_cpu), 3) if by_cpu else None}


def _below(goal: str, wanted: float, found: float) -> dict[str, Any]:
    return _goal(goal, f"< {wanted:g}", found, found < wanted)


def _open(goal: str) -> dict[str, Any]:
    """A goal that takes more time, or more cores, than this benchmark has."""
    return _goal(goal, "", None, None)


def _goal(goal: str, wanted: str, found: float | None, holds: bool | None) -> dict[str, Any]:
    return {"goal": goal, "wanted": wanted, "found": found and round(found, 3), "holds": holds, "by_cpu": None}
