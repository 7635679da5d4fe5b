"""Which statements count towards which waypoints (semantics.md, sections 2 and 3)."""

from typing import Any

import pytest
from bson import ObjectId

from processor.core.identity import Identification, Uncounted, progress_id
from processor.core.index import JourneyIndex
from processor.core.journey import compile_journey
from processor.core.matching import Matched, match
from processor.core.records import StatementRecord
from tests.builders import (
    JOURNEY,
    ORGANISATION,
    WAYPOINTS,
    a_journey,
    a_reference,
    a_statement,
    a_statement_document,
    an_item,
    an_owner,
)
from tests.unit.core.decoding import statement_in
from tests.unit.core.matching import MATCHING, PLAIN

STORE = ObjectId("59c236a0bdf9ac67b2ab5ee7")
MEMBERS = Identification(count_group_members=True)
GROUP = {"objectType": "Group", "member": [{"mbox": "mailto:ana@example.org"}, {"mbox": "mailto:ben@example.org"}]}


def index(*journeys: dict[str, Any]) -> JourneyIndex:
    return JourneyIndex(map(compile_journey, journeys))


def matched(*records: StatementRecord, by: Identification = PLAIN, **journey: Any) -> Matched:
    """The statements against one journey of one waypoint, with changes."""
    return match(records, index(a_journey(_id=JOURNEY, **journey)), by)


def a_waypoint(number: int = 0, **changes: Any) -> dict[str, Any]:
    conditions = {"statement.verb.id": "http://example.org/did"}
    return {"_id": WAYPOINTS[number], "isActive": True, "conditions": conditions, "order": number, **changes}


def a_document(**changes: Any) -> StatementRecord:
    return statement_in(a_statement_document(**changes))


def test_a_match_is_evidence_for_the_owners_document() -> None:
    found = matched(a_document(), version=4)
    [append] = found.appends
    assert append.progress == progress_id(ORGANISATION, JOURNEY, an_owner())
    assert (append.organisation, append.journey, append.owner) == (ORGANISATION, JOURNEY, an_owner())
    assert append.items == {WAYPOINTS[0]: (an_item(1, 0),)}
    assert found.matches == 1
    assert found.rejected == []


def test_trap_7_evidence_tells_under_which_version_it_was_found() -> None:
    [append] = matched(a_document(), version=4).appends
    assert append.version == 4


@pytest.mark.parametrize(
    "journey",
    [
        {"isActive": False},
        {"waypoints": [a_waypoint(isActive=False)]},
        {"waypoints": [a_waypoint(conditions={})]},
        {"waypoints": []},
        {"organisation": ObjectId()},
        {"sources": [ObjectId()]},
        {"waypoints": [a_waypoint(conditions={"statement.verb.id": "http://example.org/else"})]},
    ],
    ids=["inactive", "inactive waypoint", "no conditions", "no waypoint", "other tenant", "other source", "no match"],
)
def test_what_does_not_count(journey: dict[str, Any]) -> None:
    assert matched(a_document(), **journey) == Matched()


def test_an_inactive_waypoint_leaves_the_others() -> None:
    [append] = matched(a_document(), waypoints=[a_waypoint(0, isActive=False), a_waypoint(1)]).appends
    assert list(append.items) == [WAYPOINTS[1]]


def test_sources_are_stores_and_a_statement_without_one_is_in_none() -> None:
    assert matched(a_document(), sources=[ObjectId(), STORE]).matches == 1
    assert matched(a_document(lrs_id=None), sources=[STORE]).matches == 0
    assert matched(a_document(lrs_id=None), sources=[]).matches == 1


def test_a_voided_statement_counts_nowhere() -> None:
    assert matched(a_document(voided=True)) == Matched()
    assert matched(a_document(voided=False)).matches == 1


def test_one_statement_may_count_for_several_waypoints_and_journeys() -> None:
    journeys = [a_journey(waypoints=[a_waypoint(0), a_waypoint(1)]), a_journey(), a_journey(isActive=False)]
    found = match([a_document()], index(*journeys), PLAIN)
    assert found.matches == 3
    assert sorted(len(append.items) for append in found.appends) == [1, 2]
    assert {append.journey for append in found.appends} == {journey["_id"] for journey in journeys[:2]}


def test_tenants_never_see_each_others_statements() -> None:
    ours, theirs = a_journey(), a_journey(organisation=ObjectId())
    records = [a_document(), a_document(organisation=str(theirs["organisation"]))]
    found = match(records, index(ours, theirs), PLAIN)
    assert {(it.organisation, it.journey) for it in found.appends} == {
        (journey["organisation"], journey["_id"]) for journey in (ours, theirs)
    }
    assert len({append.progress for append in found.appends}) == 2


def test_a_batch_gives_one_append_a_document_with_each_item_once() -> None:
    [append] = matched(a_document(), a_document(_id=str(a_reference(2))), a_document()).appends
    assert append.items == {WAYPOINTS[0]: (an_item(1, 0), an_item(2, 0))}


def test_a_bare_statement_that_counts_is_kept_and_a_document_is_not_copied() -> None:
    bare, other = statement_in(a_statement(1)), statement_in(a_statement(2, verb={"id": "http://example.org/else"}))
    assert matched(bare, other, a_document()).kept == [bare]


def test_an_anonymous_group_is_counted_in_a_metric_only() -> None:
    found = matched(statement_in(a_statement(actor=GROUP)))
    assert (found.appends, found.kept) == ([], [])
    assert found.uncounted == {Uncounted.ANONYMOUS_GROUP: 1}
    assert found.matches == 1


def test_a_group_whose_members_count_is_evidence_for_each() -> None:
    found = matched(statement_in(a_statement(actor=GROUP)), by=MEMBERS)
    assert {append.progress for append in found.appends} == {
        progress_id(ORGANISATION, JOURNEY, an_owner(name)) for name in ("ana", "ben")
    }
    assert len(found.kept) == 1


def test_a_journey_by_persona() -> None:
    with_one = a_document(person={"_id": str(STORE)})
    [append] = matched(with_one, trackBy="persona").appends
    assert (append.owner.track_by, append.owner.ident) == ("persona", STORE)
    assert matched(a_document(), trackBy="persona").uncounted == {Uncounted.NO_PERSONA: 1}


def test_one_invalid_statement_leaves_its_neighbours() -> None:
    bad = a_statement_document(2, statement={**a_statement(2), **MATCHING, "version": "0.9"})
    found = matched(a_document(), statement_in([bad]), a_document(_id=str(a_reference(3))))
    assert [(rejected.item, rejected.record.offset) for rejected in found.rejected] == [(0, 0)]
    assert [len(append.items[WAYPOINTS[0]]) for append in found.appends] == [2]


@pytest.mark.parametrize("key", ["http://example.org/x.y", "http://example&46;org/x&46;y"])
def test_a_document_with_encoded_dots_is_held_to_the_model_as_it_was_sent(key: str) -> None:
    statement = {**a_statement(), "context": {"extensions": {key: 1}}}
    assert matched(a_document(statement=statement)).matches == 1
