"""One seed from its number to its verdict, alone or many over the cores; what to print when one fails."""

import logging
import os
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

import structlog

from tests.simulation.checks import judge
from tests.simulation.ledger import Violation
from tests.simulation.process import ALL
from tests.simulation.schedule import Fault, Schedule, schedule_of, shrunk
from tests.simulation.world import World

ALONE = (ALL,)
"""One process that runs every loop: the run that the others have to equal."""

TOLD = 25
"""Last steps of a failing run that are printed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one seed under one schedule."""

    seed: int
    schedule: Schedule
    violations: tuple[Violation, ...]
    trace: tuple[str, ...]
    struck: tuple[Fault, ...]

    @property
    def report(self) -> str:
        """Say what was broken, how to see it again, and what happened last."""
        faults = ",\n    ".join(map(repr, self.schedule))
        return "\n".join(
            [
                f"seed {self.seed}:",
                *map(str, self.violations),
                "the fewest faults that show it (keep them in tests/simulation/regressions.py):",
                f"  ({self.seed}, (\n    {faults},\n  ))" if self.schedule else f"  ({self.seed}, ())",
                f"replay: JOURNEY_PROGRESS_SEED={self.seed} make simulate",
                "the last steps:",
                *self.trace[-TOLD:],
            ]
        )


def simulated(seed: int, schedule: Schedule, faultless: World | None = None) -> Outcome:
    """Run one world to its end and judge it, also by its likeness to the one without faults if that is given."""
    return judged(World(seed, schedule), faultless)


def judged(world: World, faultless: World | None = None) -> Outcome:
    """Run a world and judge it."""
    _run(world)
    violations = judge(world, faultless)
    scheduler = world.scheduler
    return Outcome(world.seed, world.schedule, tuple(violations), tuple(scheduler.trace), tuple(scheduler.struck))


def verdict(seed: int) -> Outcome:
    """Run a seed in one process without faults, then in several with faults; return the first that is not fine."""
    faultless = World(seed, (), topology=ALONE)
    outcome = judged(faultless)
    return outcome if outcome.violations else simulated(seed, schedule_of(seed), faultless)


def minimal(outcome: Outcome) -> Outcome:
    """Return a failing outcome with as few faults as show the same guarantee broken."""
    names = {violation.guarantee for violation in outcome.violations}
    faultless = World(outcome.seed, (), topology=ALONE)
    _run(faultless)

    def is_failing(schedule: Schedule) -> bool:
        found = simulated(outcome.seed, schedule, faultless)
        return bool(names & {violation.guarantee for violation in found.violations})

    return simulated(outcome.seed, shrunk(outcome.schedule, is_failing), faultless)


def verdicts(seeds: Sequence[int]) -> Iterator[Outcome]:
    """Judge many seeds on all cores; each is a world of its own, in one thread."""
    workers = min(os.cpu_count() or 1, len(seeds))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for outcomes in pool.map(_several, [seeds[start : start + 10] for start in range(0, len(seeds), 10)]):
            yield from outcomes


def _several(seeds: Sequence[int]) -> list[Outcome]:
    """Return only what the caller needs of the good ones: traces are long."""
    outcomes = [verdict(seed) for seed in seeds]
    return [it if it.violations else Outcome(it.seed, (), (), (), it.struck) for it in outcomes]


def _run(world: World) -> None:
    state = random.getstate()
    random.seed(world.seed)  # the backoff's jitter
    try:
        with _silence():
            world.run()
    finally:
        random.setstate(state)


@contextmanager
def _silence() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
