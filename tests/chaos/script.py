"""The script of faults, as data: what happens when, drawn from a seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What can happen. A fault of a processor strikes one of them, every other one a server."""

    KILL = "kill -9 of a processor"
    FREEZE = "processor frozen past lease and session"
    STEP_DOWN = "MongoDB primary steps down"
    KILL_PRIMARY = "kill -9 of the MongoDB primary"
    RESTART_BROKER = "kill -9 and restart of the broker"
    STORES_AWAY = "broker and all of MongoDB away"
    PARTITIONS = "partitions added"
    STORM = "rebalance storm"


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry: `at` and `length` in seconds, `slot` the processor it strikes (if it is one's)."""

    at: float
    kind: Kind
    slot: int = 0
    length: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything. `seconds` is how long statements are produced."""

    seconds: float
    rate: int
    counts: dict[Kind, int]
    away: float
    processors: int = 3


SHORT = Plan(
    seconds=50,
    rate=60,
    counts={
        Kind.KILL: 8,
        Kind.FREEZE: 2,
        Kind.STEP_DOWN: 1,
        Kind.KILL_PRIMARY: 1,
        Kind.RESTART_BROKER: 1,
        Kind.STORES_AWAY: 1,
        Kind.PARTITIONS: 1,
        Kind.STORM: 1,
    },
    away=8,
)
LONG = Plan(
    seconds=1_200,
    rate=100,
    counts={
        Kind.KILL: 220,
        Kind.FREEZE: 25,
        Kind.STEP_DOWN: 10,
        Kind.KILL_PRIMARY: 8,
        Kind.RESTART_BROKER: 4,
        Kind.STORES_AWAY: 2,
        Kind.PARTITIONS: 2,
        Kind.STORM: 3,
    },
    away=120,
)


def script(plan: Plan, seed: int) -> list[Fault]:
    """Return the faults in order of time. The same plan and seed give the same script."""
    dice = random.Random(seed)
    return sorted(_drawn(plan, dice), key=lambda fault: fault.at)


def _drawn(plan: Plan, dice: random.Random) -> Iterator[Fault]:
    lengths = {
        Kind.FREEZE: (8.0, 14.0),  # the chaos settings have a lease and a session of six seconds
        Kind.KILL_PRIMARY: (1.0, 5.0),
        Kind.STORES_AWAY: (plan.away, plan.away),
        Kind.STORM: (4.0, 8.0),
    }
    for kind, count in plan.counts.items():
        for number in range(count):
            # Spread: the n-th of a kind falls somewhere into the n-th part of the time, the first and last tenth quiet.
            part = 0.8 * plan.seconds / count
            at = 0.1 * plan.seconds + part * (number + dice.random())
            yield Fault(at, kind, dice.randrange(plan.processors), dice.uniform(*lengths.get(kind, (0.0, 0.0))))
