"""Faults as data: what goes wrong at which step. A schedule can be printed, shortened and replayed."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from random import Random
from typing import NamedTuple

STEPS = 400
"""Steps in which faults come; a world mostly has work for about as many."""


class Kind(StrEnum):
    """What can go wrong. A step is a process about to do an effect, or just after it."""

    CRASH = "crash"  # the process whose turn it is dies here
    FAIL = "fail"  # its call raises: before the effect it was not done, after it it was
    AWAY = "away"  # the server it calls answers nobody for a while
    SLOW = "slow"  # the call takes long; the rest of the process goes on
    FREEZE = "freeze"  # the whole process stops here and wakes late, perhaps past its leases and out of its group
    STOP = "stop"  # the process is asked to end, and drains
    LAPSE = "lapse"  # the clock jumps: leases run out
    REBALANCE = "rebalance"  # the partitions are spread anew once the batches in hand are done
    SEIZE = "seize"  # the same at once: batches in hand are lost
    REDELIVER = "redeliver"  # a member begins again at the committed offsets


EFFECTS = (
    *(
        "append.statement",
        "append.progress",
        "claim",
        "attempts",
        "spill",
        "apply",
        "claim_events",
        "forget",
        "keep_account",
        "leave",
        "mark_due",
    ),
    *("poll", "commit", "park", "publish", "journeys.load"),
)
"""What processes take turns at, before and after each."""

ANYWHERE = ""
WINDOW = 150
"""Steps that a fault waits for its place; after that it does not come."""


class Fault(NamedTuple):
    """Comes at the first step from `step` on whose effect begins with `place`.

    So what is rarely done is hit as often as what is done all the time. `seconds` is how long it lasts, where that
    means something.
    """

    step: int
    kind: Kind
    seconds: int = 0
    place: str = ANYWHERE

    def __repr__(self) -> str:
        return f"Fault({self.step}, Kind.{self.kind.name}, {self.seconds}, {self.place!r})"


Schedule = tuple[Fault, ...]

LASTING = (1, 3, 7, 18, 22, 45)
"""Seconds: within and beyond a session (5) and a lease (20)."""


def schedule_of(seed: int) -> Schedule:
    """Draw a schedule, for one seed in ten without faults.

    A seed prefers some kinds and some places, so that they meet each other often enough.
    """
    if seed % 10 == 0:
        return ()
    random = Random(f"schedule {seed}")
    liked = random.sample(list(Kind), random.randint(1, 4))
    kinds = [*Kind, *liked * 6]
    places = [ANYWHERE, *random.sample(EFFECTS, 2)]
    steps = sorted({random.randrange(STEPS) for _ in range(random.randint(1, 24))})
    return tuple(Fault(step, random.choice(kinds), random.choice(LASTING), _place(random, places)) for step in steps)


def _place(random: Random, liked: Sequence[str]) -> str:
    effect = random.choice((*liked, random.choice(EFFECTS)))
    return effect and effect + random.choice((".before", ".after"))


def shrunk(schedule: Sequence[Fault], is_failing: Callable[[Schedule], bool], tries: int = 120) -> Schedule:
    """Drop faults for as long as the rest still fails: halves first, then ever smaller parts, at most `tries` times."""
    faults = tuple(schedule)
    size = max(len(faults) // 2, 1)
    while faults and tries > 0:
        for start in range(0, len(faults), size):
            tries -= 1
            fewer = faults[:start] + faults[start + size :]
            if is_failing(fewer):
                faults = fewer
                break
        else:
            if size == 1:
                break
            size //= 2
        size = min(size, max(len(faults), 1))
    return faults
