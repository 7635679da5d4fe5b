"""Evidence that can change nothing is not written; whatever could make it matter again is known before."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from bson import ObjectId
from msgspec import UNSET, structs

from processor.core.evidence import Append, Key
from processor.core.identity import progress_id
from processor.core.index import Match
from processor.core.journey import JourneyRules
from processor.core.policy import FoldingPolicy
from processor.core.shelves import Held
from processor.errors import StoreUnavailable
from processor.services.beginnings import Beginnings
from processor.services.finished import MOST, Finished, RecalculationWatch
from processor.services.handover import Handover
from processor.services.promoter import Promoter
from processor.services.promoting import Promoting
from processor.services.surroundings import Leasing
from tests.builders import JOURNEY, ORGANISATION, WAYPOINTS, an_append, an_item, an_owner, at, journey_rules
from tests.unit.services.test_beginnings import a_running_journey
from tests.unit.services.world import STORE_AWAY, World, pending

TRUST = timedelta(seconds=10)
ANA, BEN = (an_append(owner=it).progress for it in ("ana", "ben"))


def the_rules(version: int = 1) -> JourneyRules:
    return replace(journey_rules((0, 1)), id=JOURNEY, version=version)


def place(number: int) -> Key:
    item = an_item(number)
    return Key(item.timestamp, 0, item.statement, WAYPOINTS[0])


def a_finished(rules: JourneyRules) -> Finished:
    finished = Finished(TRUST)
    finished.look((), at(0))
    finished.learn(rules, ANA, an_owner().ident, place(5))
    return finished


def a_seen(name: str | None, timestamp: datetime) -> Any:
    """What a glance sees of a statement, as far as it is asked about."""
    actor = {"account": UNSET, "mbox": UNSET, "mbox_sha1sum": UNSET, "openid": UNSET}
    actor |= an_owner(name).ident if name else {}
    return SimpleNamespace(statement=SimpleNamespace(actor=SimpleNamespace(**actor)), timestamp=timestamp)


def test_only_what_is_later_than_the_completion_is_passed_over() -> None:
    rules = the_rules()
    finished = a_finished(rules)
    assert finished.passes_over(an_append(an_item(6)), rules, at(1))
    assert not finished.passes_over(an_append(an_item(5)), rules, at(1))
    assert not finished.passes_over(an_append(an_item(4), an_item(6)), rules, at(1))
    assert not finished.passes_over(an_append(an_item(6), owner="ben"), rules, at(1))
    assert not finished.passes_over(an_append(an_item(6)), None, at(1))


def test_a_journey_that_was_saved_again_is_another() -> None:
    rules = the_rules()
    finished = a_finished(rules)
    again = the_rules()
    assert not finished.passes_over(an_append(an_item(6)), again, at(1))
    finished.learn(again, BEN, an_owner("ben").ident, place(5))
    assert not finished.passes_over(an_append(an_item(6)), again, at(1))
    assert finished.passes_over(an_append(an_item(6), owner="ben"), again, at(1))


def test_nothing_of_a_journey_that_is_recalculated_is_passed_over_until_it_is_learnt_again() -> None:
    rules = the_rules()
    finished = a_finished(rules)
    finished.look({JOURNEY}, at(2))
    assert not finished.passes_over(an_append(an_item(6)), rules, at(3))
    finished.learn(rules, ANA, an_owner().ident, place(5))
    finished.look((), at(4))
    assert not finished.passes_over(an_append(an_item(6)), rules, at(5))
    finished.learn(rules, ANA, an_owner().ident, place(5))
    assert finished.passes_over(an_append(an_item(6)), rules, at(5))


def test_who_has_not_looked_at_the_recalculations_lately_passes_nothing_over() -> None:
    """A recalculation that began since reads nothing before two of these times are over."""
    rules = the_rules()
    finished = Finished(TRUST)
    finished.learn(rules, ANA, an_owner().ident, place(5))
    assert not finished.passes_over(an_append(an_item(6)), rules, at(0))
    finished.look((), at(0))
    assert finished.passes_over(an_append(an_item(6)), rules, at(9.999))
    assert not finished.passes_over(an_append(an_item(6)), rules, at(10))


def test_f1_a_journey_may_be_read_again_while_it_is_and_whenever_nobody_could_look_lately() -> None:
    """What is folded then is held to no horizon; a recalculation may find what is older."""
    finished = Finished(TRUST)
    assert finished.may_be_reread(JOURNEY, at(0))
    finished.look((), at(0))
    assert not finished.may_be_reread(JOURNEY, at(9.999))
    assert finished.may_be_reread(JOURNEY, at(10))
    finished.look({JOURNEY}, at(10))
    assert finished.may_be_reread(JOURNEY, at(11))
    assert not finished.may_be_reread(ObjectId(), at(11))


def test_i1_after_a_gap_in_which_a_recalculation_may_have_come_and_gone_all_is_learnt_again() -> None:
    rules = the_rules()
    finished = a_finished(rules)
    finished.look((), at(9))
    assert finished.passes_over(an_append(an_item(6)), rules, at(10))
    finished.look((), at(19))
    assert not finished.passes_over(an_append(an_item(6)), rules, at(19))
    finished.learn(rules, ANA, an_owner().ident, place(5))
    assert finished.passes_over(an_append(an_item(6)), rules, at(20))


def test_i1_a_statement_of_who_is_through_is_over_at_a_glance() -> None:
    """Only if all that it may match is over, and by more than the records' times and ours may differ."""
    rules, other = the_rules(), replace(the_rules(), id=ObjectId())
    waypoint = rules.waypoints[WAYPOINTS[0]]
    finished = a_finished(rules)
    leave_out = finished.leaving_out(at(1))
    assert leave_out
    through = [Match(rules, waypoint)]
    both = [*through, Match(other, waypoint)]
    seen = [
        a_seen("ana", at(5.001001)),
        a_seen("ana", at(5.001)),
        a_seen("ben", at(6)),
        a_seen(None, at(6)),
        *(a_seen("ana", at(6)) for _ in range(3)),
    ]
    held: list[Held[Match]] = [
        *((number, through) for number in range(4)),
        (4, None),
        (5, [Match(the_rules(), waypoint)]),
        (6, both),
    ]
    assert leave_out(held, seen) == held[1:]
    assert leave_out(held[6:], seen) == held[6:]
    finished.learn(other, progress_id(ORGANISATION, other.id, an_owner()), an_owner().ident, place(5))
    assert leave_out(held, seen) == held[1:6]
    assert finished.left_out == 3  # the first twice
    assert [leave_out([one], seen) for one in held] == [[], *([one] for one in held[1:6]), []]
    assert leave_out(held[:4], seen) == held[1:4]  # all of one place
    assert leave_out([(6, through), (1, through), (0, through)], seen) == [(1, through)]
    assert leave_out([], seen) == []
    assert finished.leaving_out(at(10)) is None  # nobody has looked at the recalculations lately


@pytest.mark.parametrize(
    ("ident", "rules"),
    [
        (an_owner().ident, replace(the_rules(), track_by="persona")),
        ({"mbox": "mailto:Ana@example.org"}, the_rules()),
        (ObjectId(), the_rules()),
        (None, the_rules()),
    ],
)
def test_a_document_that_the_owners_next_evidence_does_not_go_to_is_not_learnt(ident: Any, rules: JourneyRules) -> None:
    """It was begun under another `trackBy`, or when actors were told apart in another way."""
    finished = Finished(TRUST)
    finished.look((), at(0))
    finished.learn(rules, ANA, ident, place(5))
    assert finished.leaving_out(at(1)) is None


def test_a_completion_at_the_end_of_time_is_not_learnt() -> None:
    finished = Finished(TRUST)
    finished.look((), at(0))
    last = structs.replace(place(5), timestamp=datetime.max.replace(tzinfo=UTC))
    finished.learn(the_rules(), ANA, an_owner().ident, last)
    assert finished.leaving_out(at(1)) is None


def test_memory_is_bounded() -> None:
    rules = the_rules()
    finished = a_finished(rules)
    for number in range(MOST):
        owner = an_owner(str(number))
        finished.learn(rules, progress_id(ORGANISATION, JOURNEY, owner), owner.ident, place(5))
    assert not finished.passes_over(an_append(an_item(6)), rules, at(1))
    assert finished._owners < MOST


async def test_what_was_promoted_here_is_known_and_its_later_evidence_costs_no_write() -> None:
    world = World(a_running_journey())
    await world.journeys.refresh()
    finished, handover, leasing = Finished(TRUST), Handover(Leasing()), Leasing()
    finished.look((), world.clock.now())
    ingest = Beginnings(
        Promoting(world.store, world.journeys, FoldingPolicy(), world.around, leasing, handover, finished)
    )
    promoter = Promoter(
        Promoting(world.store, world.journeys, FoldingPolicy(), world.around, leasing, handover, finished)
    )

    async def appended(append: Append) -> int:
        return await ingest.append([append], [], world.clock.now())

    await appended(an_append(an_item(5)))
    known = len(world.effects.done)
    assert await appended(an_append(an_item(6))) == 0
    assert set(world.effects.done[known:]) <= {"missing"}
    assert world.count("dropped_evidence_total", reason="after-completion") == 1

    assert await appended(an_append(an_item(4))) == 1  # earlier: it moves the completion
    await promoter.step()
    assert world.documents[0]["completedAt"] == at(4)
    assert not pending(world.documents[0])
    assert await appended(an_append(an_item(5))) == 0


async def test_a_watch_that_cannot_look_changes_nothing() -> None:
    world = World()

    class Away:
        async def running(self) -> frozenset[ObjectId]:
            raise STORE_AWAY

    rules = the_rules()
    finished = a_finished(rules)
    world.clock.advance(9)
    with pytest.raises(StoreUnavailable):
        await RecalculationWatch(finished, Away(), world.around).step()
    assert not finished.passes_over(an_append(an_item(6)), rules, at(10))
