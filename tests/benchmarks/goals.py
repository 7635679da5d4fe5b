"""The goals, as data, and whether they hold (one process on one core, the servers on the other; medians)."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from tests.benchmarks.saturation import Run

CLOSE = 0.9
"""The share of the unmatched figure that counts as close to it."""

Rates = Mapping[str, float]


class Ratio(NamedTuple):
    """Two rates of the same round, and what the one has to be of the other."""

    goal: str
    rate: str
    base: str
    least: float


RATIOS = (
    Ratio("nothing matches, of F-decode", "nothing matches", "F-decode (nothing matches)", 1.0),
    Ratio("5 % match, of F-decode", "5 % match", "F-decode (5 % match)", 0.6),
    Ratio("everything matches, of F-mongo", "everything matches", "F-mongo (everything matches)", 0.8),
    Ratio("bursts of 20 a learner, of everything matches", "bursts of 20", "everything matches", 3.0),
    Ratio("completed, of nothing matches", "completed", "nothing matches", CLOSE),
)


def judged(rounds: Sequence[Rates], latency: Mapping[str, float], memory: Sequence[Run]) -> list[dict[str, Any]]:
    """Return each goal with what is wanted, the median of what was found, and whether it holds."""
    peak = max(run.costs["processor"].peak for run in memory)
    return [
        *(_least(it.goal, it.least, median(rates[it.rate] / rates[it.base] for rates in rounds)) for it in RATIOS),
        _below("p50 from produce to event at a third of the rate, ms", 15, latency["p50"]),
        _below("p99 from produce to event at a third of the rate, ms", 50, latency["p99"]),
        _below("peak memory with 10,000 journeys, MB", 300, peak),
        _open("memory flat over 10 million statements"),
        _open("two processes on two partitions, of one"),
    ]


def _least(goal: str, wanted: float, found: float) -> dict[str, Any]:
    return _goal(goal, f">= {wanted:g}", found, lambda: found >= wanted)


def _below(goal: str, wanted: float, found: float) -> dict[str, Any]:
    return _goal(goal, f"< {wanted:g}", found, lambda: found < wanted)


def _open(goal: str) -> dict[str, Any]:
    """A goal that takes more time, or more cores, than this benchmark has."""
    return {"goal": goal, "wanted": "", "found": None, "holds": None}


def _goal(goal: str, wanted: str, found: float, holds: Callable[[], bool]) -> dict[str, Any]:
    return {"goal": goal, "wanted": wanted, "found": round(found, 3), "holds": holds()}
