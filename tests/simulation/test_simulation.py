"""Seeds of the simulation: `JOURNEY_PROGRESS_SEEDS` of them (`make simulate SEEDS=10000`), or one, to see it again."""

import os
from collections import Counter

import pytest

from tests.simulation.regressions import REGRESSIONS
from tests.simulation.schedule import Fault, Kind, Schedule, schedule_of, shrunk
from tests.simulation.simulate import minimal, simulated, verdict, verdicts

SEEDS = int(os.environ.get("JOURNEY_PROGRESS_SEEDS", "500"))
ONLY = os.environ.get("JOURNEY_PROGRESS_SEED")
ENOUGH = 5
"""Failing seeds after which the rest would tell nothing new."""


@pytest.mark.parametrize(("seed", "schedule", "what"), REGRESSIONS)
def test_what_was_found_before_stays_mended(seed: int, schedule: Schedule, what: str) -> None:
    outcome = simulated(seed, schedule)
    assert not outcome.violations, f"{what}\n{outcome.report}"


def test_the_guarantees_hold_in_every_world() -> None:
    """I1, I2, I3, F1, P1, P2, P3, R1, R2, and the world equals the one without faults."""
    failing, struck = [], Counter[Kind]()
    for outcome in [verdict(int(ONLY))] if ONLY else verdicts(range(SEEDS)):
        struck.update(fault.kind for fault in outcome.struck)
        if outcome.violations:
            failing.append(outcome)
            if len(failing) == ENOUGH:
                break
    assert not failing, "\n\n".join(minimal(outcome).report for outcome in failing)
    assert ONLY or SEEDS < 100 or set(struck) == set(Kind)


def test_the_same_seed_is_the_same_run() -> None:
    for seed in range(3):
        assert verdict(seed).trace == verdict(seed).trace


def test_a_schedule_shrinks_to_what_it_takes() -> None:
    schedule = schedule_of(3)
    needed = {schedule[1], schedule[-1]}
    assert set(shrunk(schedule, lambda fewer: needed <= set(fewer))) == needed
    assert shrunk(schedule, lambda _fewer: True) == ()


def test_a_schedule_is_printed_as_it_is_written() -> None:
    schedule = schedule_of(5)
    assert eval(repr(schedule), {"Fault": Fault, "Kind": Kind}) == schedule
