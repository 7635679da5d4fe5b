"""The harness has teeth: it catches every mutation within a few seeds, and names the guarantee that it breaks."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from processor.core import promotion
from tests.simulation import mutations
from tests.simulation.process import Parts
from tests.simulation.scenario import Trait
from tests.simulation.schedule import STEPS, Fault, Kind, schedule_of
from tests.simulation.simulate import Outcome, judged
from tests.simulation.world import World

ENOUGH = 150
"""Seeds within which a mutation has to be caught; most take less than ten."""


class Case(NamedTuple):
    """What has to be named, and the mutation; `edited` journeys and a fault that comes `often` show it soonest."""

    guarantee: str
    parts: Parts
    edited: Sequence[Trait] | None = None
    often: Fault | None = None

    def outcome(self, seed: int) -> Outcome:
        often = [self.often._replace(step=step) for step in range(10, STEPS, 30)] if self.often else []
        schedule = tuple(sorted([*schedule_of(seed), *often]))
        return judged(World(seed, schedule, self.parts, self.edited))


CASES = (
    Case("I1", Parts(ingest=mutations.CommitsFirst)),
    Case("I1", Parts(finished=mutations.PassesOverTooMuch)),
    Case("I1", Parts(source=mutations.GoesBackTooLittle)),
    Case("I2", Parts(store=mutations.PushesWithoutLooking)),
    Case("I3", Parts(ingest=mutations.ParksLast)),
    Case("I3", Parts(ingest=mutations.ForgetsToPark)),
    Case("F1", Parts(promoter=mutations.StaysBehind), [Trait.GROWING]),
    Case(
        "F1",
        Parts(promoter=mutations.BringsNothingBack),
        [Trait.RELEASED],
        Fault(0, Kind.SLOW, 3, "append.progress.before"),
    ),
    Case("P1", Parts(store=mutations.TrustsNobody)),
    Case("P1", Parts(store=mutations.WritesOver)),
    Case("I1", Parts(beginnings=mutations.LosesTheRace)),
    Case("P1", Parts(store=mutations.GoesOnAnyway)),
    Case("P3", Parts(store=mutations.OpensBlindly)),
    Case("I1", Parts(continuations=mutations.LeavesTheOvertaken)),
    Case("R1/R2", Parts(continuations=mutations.ContinuesUnseen)),
    Case("P2", Parts(continuations=mutations.TellsTheLastLock)),
    Case("R2", Parts(promoter=mutations.HandsOverUnseen)),
    Case("P1", Parts(store=mutations.UsesALockTwice)),
    Case("P2", Parts(store=mutations.WritesTheOutboxApart)),
    Case("P2", Parts(store=mutations.LeavesPending)),
    Case("P2", Parts(store=mutations.SpillsLast)),
    Case("P3", Parts(store=mutations.ResetsPending)),
    Case("P3", Parts(store=mutations.ClearsDueAfterReading)),
    Case(
        "P3",
        Parts(
            store=mutations.LeavesTheClaimedAsleep,
            watch=mutations.WakesOnce,
            beginnings=mutations.TakesTheUsualWay,
        ),
        [Trait.SWITCHED],
        Fault(0, Kind.SLOW, 3, "apply.before"),
    ),
    Case("P3", Parts(watch=mutations.HearsOnce), [Trait.RESHAPED], Fault(0, Kind.FAIL, 0, "journeys.load.before")),
    Case("R1", Parts(store=mutations.PublishesEarly)),
    Case("R1", Parts(store=mutations.Falters), None, Fault(0, Kind.FAIL, 0, "publish.before")),
    Case("R1", Parts(store=mutations.AccountsTooEarly)),
    Case("R1", Parts(store=mutations.NotesTooEarly)),
    Case("R1", Parts(store=mutations.ForgetsWhatIsLeft)),
    Case("R1", Parts(store=mutations.LooksForNoneLeft)),
    Case("R1/R2", Parts(store=mutations.TakesThePlace)),
    Case("R1", Parts(relay=mutations.ForgetsFirst)),
    Case("R1", Parts(relay=mutations.HoldsTheEmpty)),
    Case("R2", Parts(sink=mutations.Backwards)),
    Case("R2", Parts(store=mutations.SkipsRevisions)),
    Case("R2", Parts(store=mutations.TwoRelaysAtOnce)),
    Case("R2", Parts(store=mutations.PublishesAnothers)),
)


@pytest.mark.parametrize("case", CASES, ids=[f"{case.guarantee}-{case.parts.mutation}" for case in CASES])
def test_a_mutation_is_caught_and_the_guarantee_named(case: Case) -> None:
    caught = first_caught(case)
    assert caught.violations[0].guarantee in case.guarantee.split("/"), caught.report


def test_f1_a_fold_by_arrival_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion, "fold", mutations.by_arrival)
    assert first_caught(Case("F1", Parts())).violations[0].guarantee == "F1"


def test_p3_journeys_that_are_read_slowly_are_not_forgotten() -> None:
    """The seeds that found a refresh which ended after a later one, and put the older journeys in its place."""
    slow = Case("P3", Parts(), [Trait.GROWING], Fault(0, Kind.SLOW, 12, "journeys.load.after"))
    outcomes = [slow.outcome(seed) for seed in range(30, 45)]
    assert not [outcome.report for outcome in outcomes if outcome.violations]


def first_caught(case: Case) -> Outcome:
    for seed in range(ENOUGH):
        outcome = case.outcome(seed)
        if outcome.violations:
            return outcome
    raise AssertionError(f"{case.parts.mutation} was not caught within {ENOUGH} seeds")
