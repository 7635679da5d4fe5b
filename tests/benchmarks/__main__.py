"""`make bench`: measures, prints every figure and goal, writes `bench-results/*.json`. Ends with 0 whatever holds.

What fails is told and left out; goals that need it do not hold. What was found by then is written however it ends.
"""

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from tests.apache.broker import JARS
from tests.benchmarks import conditions, index, streaming
from tests.benchmarks.machine import choose_cores, describe
from tests.benchmarks.picture import draw

RESULTS = Path("bench-results")

Section = Callable[[], Mapping[str, Any]]
"""Measures, prints, and returns its figures for the JSON file."""


def main() -> None:
    """Run the sections in their order."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="rounds; figures are medians (default 3)")
    parser.add_argument("--quick", action="store_true", help="a fifth of the statements, one round")
    parser.add_argument("--long", action="store_true", help="memory over ten million statements: minutes and 2 GB more")
    parser.add_argument("--only", help="a single section")
    arguments = parser.parse_args()
    if not sys.platform.startswith("linux"):
        parser.exit(1, "the benchmarks need Linux: they read /proc and give each process its core\n")
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that what was started is ended
    _prefer_apache()
    cores = choose_cores()
    options = streaming.Options(1 if arguments.quick else arguments.runs, arguments.quick, arguments.long)
    sections: dict[str, Section] = {
        "conditions": conditions.main,
        "index": index.main,
        "streaming": lambda: streaming.main(options, cores),
    }
    if arguments.only and arguments.only not in sections:
        parser.error(f"--only: there are {', '.join(sections)}")

    started = time.monotonic()
    results: dict[str, Any] = {"at": datetime.now(UTC), "machine": describe(cores), "arguments": vars(arguments)}
    sys.stdout.write("".join(f"{key}: {value}\n" for key, value in results["machine"].items()))
    try:
        for name, section in sections.items():
            if arguments.only in (None, name):
                sys.stdout.write(f"\n== {name}\n")
                results[name] = section()
    finally:
        results["seconds"] = round(time.monotonic() - started)
        _write(results)


def _write(results: Mapping[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{results['at']:%Y%m%dT%H%M%SZ}.json"
    path.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2))
    sys.stdout.write(f"\n{results['seconds']} seconds; {path}\n")
    if "streaming" in results and draw(results, path.with_suffix(".png")):
        sys.stdout.write(f"picture: {path.with_suffix('.png')}\n")


def _prefer_apache() -> None:
    """Take Apache Kafka where its jars and Java are at hand, unless something else was asked for (DECISIONS, 51)."""
    if shutil.which("java") and any(JARS.glob("kafka_*.jar")):
        os.environ.setdefault("JOURNEY_PROGRESS_TEST_KAFKA", "apache")


if __name__ == "__main__":
    main()
