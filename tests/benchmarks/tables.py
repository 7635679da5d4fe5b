"""The tables that people read; everything in them stands in the JSON file, too."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from tests.benchmarks.goals import against, floor_of
from tests.benchmarks.subjects import OURS

Figures = Mapping[str, Any]

KAFKA_STREAMS = (
    "Kafka Streams (Java 17), not measured here, seen by hand in one run with F-decode at 93,000/s: nothing matches "
    "0.97 of F-decode;\neverything matches 10,000/s with RocksDB and changelog alone, 3,600/s with each changed "
    "document also in MongoDB; 500-700 MB."
)


def tell(figures: Figures) -> None:
    """Print the tables."""
    sys.stdout.write("\n".join(["", *_subjects(figures), "", *_others(figures), "", *_goals(figures)]) + "\n")


def _subjects(figures: Figures) -> Iterator[str]:
    """Every workload: ours, then each peer; CPU in seconds per million statements, which is µs per statement."""
    yield f"{'medians':<21}{'':<24}{'/s':>9}{'ours is':>9}{'of floor':>10}{'CPU s/M':>9}{'servers':>9}{'peak MB':>9}"
    ours = figures["subjects"][OURS.name]
    for workload in ours:
        for subject, found in figures["subjects"].items():
            if workload in found:
                ratio = None if subject == OURS.name else against(figures, subject, workload)
                times = f"{ratio.rate:.2f} x" if ratio else ""
                title = workload if subject == OURS.name else ""
                yield f"{title:<21}{subject:<24}{_numbers(found[workload], times, figures['floors'], workload)}"
    yield from (f"{name} failed: {reason}" for name, reason in figures["failed"].items())
    yield KAFKA_STREAMS


def _numbers(found: Figures, ratio: str, floors: Mapping[str, float], workload: str) -> str:
    costs = found["costs"]
    floor = floor_of(workload, floors)
    share = f"{found['rate'] / floor:.2f}" if floor else ""
    servers = sum(cost["cpu"] for name, cost in costs.items() if name != "processor")
    own = costs["processor"]
    return f"{found['rate']:>9,.0f}{ratio:>9}{share:>10}{own['cpu']:>9,.1f}{servers:>9,.1f}{own['peak']:>9,.0f}"


def _others(figures: Figures) -> Iterator[str]:
    yield from (f"{name:<32}{rate:>9,.0f}/s" for name, rate in figures["floors"].items())
    if latency := figures["latency"]:
        rates = f"{latency['rate']:,.0f}/s, of {latency['saturating']:,.0f}/s that last"
        yield f"produce to event at {rates}: {_waits(latency)} (broker: {figures['servers']})"
    if returning := figures["returning"]:
        thirds = ", ".join(f"{name} third {it['p50']} / {it['p99']}" for name, it in returning["thirds"].items())
        yield f"where documents exist, at {returning['rate']:,.0f}/s: {_waits(returning)} (p50 / p99: {thirds})"
    if scaling := figures["scaling"]:
        yield (
            f"one process on two partitions {scaling['one']:,.0f}/s and {scaling['cpu_one']:.1f} CPU s/M, two "
            f"{scaling['two']:,.0f}/s and {scaling['cpu_two']:.1f}"
            + ("" if scaling["has_cores"] else "; a core each is not to be had here, so CPU decides")
        )
    if flat := figures["flatness"]:
        yield f"memory over {flat['statements']:,} statements: {', '.join(f'{it:.0f}' for it in flat['resident'])} MB"


def _waits(latency: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {latency[name]} ms" for name in ("p50", "p99", "p999", "most"))


def _goals(figures: Figures) -> Iterator[str]:
    yield f"{'goal':<66}{'wanted':>8}{'found':>10}{'by CPU':>8}  holds"
    for goal in figures["goals"]:
        found, by_cpu = ("" if goal[key] is None else f"{goal[key]:,.2f}" for key in ("found", "by_cpu"))
        holds = {True: "yes", False: "NO"}[goal["holds"]]
        why = f" ({goal['why']})" if goal["why"] else ""
        yield f"{goal['goal']:<66}{goal['wanted']:>8}{found:>10}{by_cpu:>8}  {holds}{why}"
