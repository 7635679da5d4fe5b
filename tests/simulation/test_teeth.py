"""The harness has teeth: it catches every mutation within a few seeds, and names the guarantee that it breaks."""

from collections.abc import Sequence

import pytest

from processor.core import promotion
from tests.simulation import mutations
from tests.simulation.process import Parts
from tests.simulation.scenario import Trait
from tests.simulation.schedule import schedule_of
from tests.simulation.simulate import Outcome, judged
from tests.simulation.world import World

ENOUGH = 150
"""Seeds within which a mutation has to be caught; most take less than ten."""


CASES: tuple[tuple[str, Parts, Sequence[Trait] | None], ...] = (
    ("I1", Parts(ingest=mutations.CommitsFirst), None),
    ("I2", Parts(store=mutations.PushesWithoutLooking), None),
    ("I3", Parts(ingest=mutations.ParksLast), None),
    ("I3", Parts(ingest=mutations.ForgetsToPark), None),
    ("P1", Parts(store=mutations.TrustsNobody), None),
    ("P1", Parts(store=mutations.UsesALockTwice), None),
    ("P2", Parts(store=mutations.WritesTheOutboxApart), None),
    ("P2", Parts(store=mutations.LeavesPending), None),
    ("P3", Parts(store=mutations.ResetsPending), None),
    ("P3", Parts(store=mutations.ClearsDueAfterReading), None),
    ("R1", Parts(store=mutations.PublishesEarly), None),
    ("R1", Parts(relay=mutations.ForgetsFirst), None),
    ("R1", Parts(relay=mutations.HoldsTheEmpty), None),
    ("R2", Parts(sink=mutations.Backwards), None),
    ("R2", Parts(store=mutations.SkipsRevisions), None),
    ("R2", Parts(store=mutations.TwoRelaysAtOnce), None),
)
"""What has to be named, the mutation, and the journeys that it shows in soonest."""


@pytest.mark.parametrize(("guarantee", "parts", "edited"), CASES, ids=[case[1].mutation for case in CASES])
def test_a_mutation_is_caught_and_the_guarantee_named(
    guarantee: str, parts: Parts, edited: Sequence[Trait] | None
) -> None:
    caught = first_caught(parts, edited)
    assert caught.violations[0].guarantee == guarantee, caught.report


def test_f1_a_fold_by_arrival_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion, "fold", mutations.by_arrival)
    assert first_caught(Parts()).violations[0].guarantee == "F1"


def first_caught(parts: Parts, edited: Sequence[Trait] | None = None) -> Outcome:
    for seed in range(ENOUGH):
        outcome = judged(World(seed, schedule_of(seed), parts, edited))
        if outcome.violations:
            return outcome
    raise AssertionError(f"{parts.mutation} was not caught within {ENOUGH} seeds")
