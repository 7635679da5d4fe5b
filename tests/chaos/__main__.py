"""`make chaos`: the long form (or --short), on Apache Kafka and a MongoDB replica set of three. Prints a table."""

import argparse
import asyncio
import logging
import random
import sys
from pathlib import Path
from tempfile import mkdtemp

from rich.console import Console
from rich.table import Table

from tests.chaos.chaos import Outcome, run_chaos
from tests.chaos.script import LONG, SHORT


def main() -> int:
    """Run, print, and exit with 1 when anything was lost or doubled."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32), help="repeat this script")
    parser.add_argument("--short", action="store_true", help="about two minutes instead of half an hour")
    parser.add_argument("--logs", type=Path, default=None, help="keep the processors' logs in this directory")
    arguments = parser.parse_args()
    logs = arguments.logs or Path(mkdtemp(prefix="chaos-"))
    logs.mkdir(parents=True, exist_ok=True)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it complains of every fault we make
    sys.stdout.write(f"seed {arguments.seed}, logs in {logs}\n")
    outcome = asyncio.run(run_chaos(SHORT if arguments.short else LONG, arguments.seed, logs))
    _print(outcome)
    return 1 if outcome.verdict.lost or outcome.verdict.doubled else 0


def _print(outcome: Outcome) -> None:
    console = Console()
    faults = Table("fault", "times", "longest until the next event (s)")
    for kind, times in outcome.faults.items():
        faults.add_row(kind, str(times), f"{outcome.recovery[kind]:.1f}")
    console.print(faults)
    verdict = outcome.verdict
    figures = Table("figure", "value")
    figures.add_row("faults", str(sum(outcome.faults.values())))
    figures.add_row("statements acknowledged by Kafka", str(outcome.acknowledged))
    figures.add_row("statements in the topic", str(verdict.statements))
    figures.add_row("documents", str(verdict.documents))
    figures.add_row("events", f"{verdict.events} (and {verdict.repeats} repeats)")
    figures.add_row("dead letters", str(verdict.letters))
    figures.add_row("lost", str(len(verdict.lost)))
    figures.add_row("doubled", str(len(verdict.doubled)))
    figures.add_row("longest stall (s)", f"{outcome.stall:.1f}")
    figures.add_row("time to recover after the last fault (s)", f"{outcome.quiet:.1f}")
    figures.add_row("exit statuses", " ".join(map(str, outcome.statuses)))
    figures.add_row("processors that ended by themselves", "; ".join(outcome.died) or "none")
    console.print(figures)
    for line in (verdict.lost + verdict.doubled)[:20]:
        console.print(line)


if __name__ == "__main__":
    sys.exit(main())
