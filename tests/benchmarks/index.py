"""What finding the waypoints of a statement costs, from 10 waypoints to 100,000, on the real stream.

`python -m tests.benchmarks.index` prints the curve. The ratio is the claim; the times are this machine's.
"""

import gc
import sys
import time
import tracemalloc
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from processor.core.index import JourneyIndex, index_journeys
from processor.core.records import StatementRecord
from tests.benchmarks.journeys import Course, course_of, journey_documents, read_stream

SIZES = (10, 100, 1_000, 10_000, 100_000)
GOAL = 1.3
"""Times the cost at the smallest size."""
ROUNDS = 9
WEIGHED = 10_000
"""Waypoints whose memory is measured: tracing more takes minutes, and tells the same."""


def main() -> dict[str, object]:
    """Measure, print, and return the figures with their goal."""
    stream = read_stream()
    course = course_of(stream)
    indexes = {size: index_journeys(journey_documents(course, size), {})[0] for size in SIZES}
    matched = {sum(len(index.matches(record)) for record in stream) for index in indexes.values()}
    assert len(matched) == 1, "the same statements match the same waypoints at every size"
    seconds = best_of(indexes, stream)
    ratios = {size: seconds[size] / seconds[SIZES[0]] for size in SIZES}
    memory = bytes_of(course, WEIGHED) / WEIGHED

    table = Table("waypoints", "µs per statement", f"times that at {SIZES[0]}", title="Index", title_justify="left")
    for waypoints, ratio in ratios.items():
        table.add_row(f"{waypoints:,}", f"{seconds[waypoints] / len(stream) * 1e6:.2f}", f"{ratio:.2f}")
    console = Console()
    console.print(table)
    console.print(f"{matched.pop():,} matches in {len(stream):,} statements; {memory:,.0f} bytes per waypoint")
    most, least = SIZES[-1], SIZES[0]
    holds = ratios[most] <= GOAL
    console.print(f"goal: at {most:,} at most {GOAL} times the cost at {least}: {'holds' if holds else 'FAILS'}")
    return {"ratios": ratios, "goal": GOAL, "bytes_per_waypoint": memory, "holds": holds}


def best_of(indexes: dict[int, JourneyIndex], stream: Sequence[StatementRecord]) -> dict[int, float]:
    """Return the shortest of several passes over the stream for each, taken in turns: noise only ever adds."""
    best = dict.fromkeys(indexes, float("inf"))
    gc.collect()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            for size, index in indexes.items():
                begin = time.perf_counter()
                for record in stream:
                    index.matches(record)
                best[size] = min(best[size], time.perf_counter() - begin)
    finally:
        gc.enable()
    return best


def bytes_of(course: Course, waypoints: int) -> int:
    """Return what a snapshot of so many waypoints, and what is kept for the next one, holds."""
    documents = list(journey_documents(course, waypoints))
    tracemalloc.start()
    try:
        kept = index_journeys(documents, {})
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept
    return held


if __name__ == "__main__":
    sys.exit(0 if main()["holds"] else 1)
