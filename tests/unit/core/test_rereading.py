"""What a recalculation decides about statements that it has read again (semantics.md, sections 3 and 4)."""

from typing import Any

import pytest
from bson import ObjectId
from msgspec.structs import replace

from processor.core.beginning import new_document
from processor.core.decode import stored_statement
from processor.core.evidence import Append, Retraction
from processor.core.identity import Identification, owner_from, progress_id
from processor.core.journey import JourneyRules, compile_journey
from processor.core.records import StatementRecord
from processor.core.rereading import Held, evidence_of, foreseen, holders_of, retraction_of, verdicts_on
from tests.builders import JOURNEY, ORGANISATION, WAYPOINTS, a_reference, an_append, an_item, an_owner, at
from tests.simulation.recalculating import a_stored, a_waypoint, the_journey

FIRST, SECOND = WAYPOINTS[:2]
ANA = progress_id(ORGANISATION, JOURNEY, an_owner("ana"))
KNOWN = Identification()


def rules(*waypoints: dict[str, Any], **changes: Any) -> JourneyRules:
    return compile_journey(the_journey(*(waypoints or (a_waypoint(0, "a"), a_waypoint(1, "b"))), **changes))


def read(*documents: dict[str, Any]) -> list[StatementRecord]:
    return [record for document in documents if (record := stored_statement(document))]


def entries(*numbers: int) -> dict[str, Any]:
    return {"statements": [{"statement": a_reference(number), "timestamp": at(number)} for number in numbers]}


def a_document(**changes: Any) -> dict[str, Any]:
    """Statement 1 counted, 2 kept as surplus, 3 pending, all for the first waypoint."""
    counted = {FIRST: {"waypoint": ObjectId(FIRST), "order": 0, "isCompleted": False, **entries(1)}}
    return {
        "_id": ANA,
        "completions": [{"isCompleted": False, "waypoints": counted}],
        "pendingProgress": {FIRST: entries(3)},
        "processing": {"surplus": {FIRST: entries(2)["statements"]}},
        **changes,
    }


def taken_back(document: dict[str, Any], records: list[StatementRecord], under: JourneyRules) -> set[ObjectId]:
    retraction = retraction_of(document, verdicts_on(records, under, KNOWN), under, "chunk")
    return {statement for held in retraction.statements.values() for statement in held} if retraction else set()


def test_what_matches_stays() -> None:
    assert taken_back(a_document(), read(a_stored(1, "a"), a_stored(2, "a"), a_stored(3, "a")), rules()) == set()


def test_what_was_read_and_does_not_match_any_more_is_taken_back_wherever_it_is_held() -> None:
    records = read(a_stored(1, "c"), a_stored(2, "c"), a_stored(3, "c"))
    assert taken_back(a_document(), records, rules()) == {a_reference(1), a_reference(2), a_reference(3)}


def test_what_was_not_read_stays() -> None:
    """Retention: the source may have forgotten it."""
    assert taken_back(a_document(), [], rules()) == set()
    assert taken_back(a_document(), read(a_stored(9, "c")), rules()) == set()


@pytest.mark.parametrize(
    "changes",
    [{"voided": True}, {"lrs_id": ObjectId()}],
    ids=["voided", "another store"],
)
def test_the_whole_verdict_is_asked_and_not_the_conditions_alone(changes: dict[str, Any]) -> None:
    under = rules(sources=[ObjectId(WAYPOINTS[5])])
    held = a_stored(1, "a", lrs_id=ObjectId(WAYPOINTS[5]))
    assert taken_back(a_document(), read(held), under) == set()
    assert taken_back(a_document(), read({**held, **changes}), under) == {a_reference(1)}


def test_another_organisations_statement_of_the_same_reference_says_nothing() -> None:
    assert taken_back(a_document(), read(a_stored(1, "c", organisation=ObjectId())), rules()) == set()


def test_evidence_of_somebody_else_is_taken_back() -> None:
    """The actor was mended, a persona merged, or the journey is tracked by another thing."""
    assert taken_back(a_document(), read(a_stored(1, "a", "ben")), rules()) == {a_reference(1)}
    assert taken_back(a_document(), read(a_stored(1, "a")), rules(trackBy="persona")) == {a_reference(1)}


def test_a_match_with_another_waypoint_does_not_save_it() -> None:
    assert taken_back(a_document(), read(a_stored(1, "b")), rules()) == {a_reference(1)}


def test_a_waypoint_that_is_switched_off_is_judged_and_one_that_asks_nothing_waits() -> None:
    records = read(a_stored(1, "a"), a_stored(2, "c"))
    off = rules(a_waypoint(0, "a", isActive=False), a_waypoint(1, "b"))
    assert taken_back(a_document(), records, off) == {a_reference(2)}
    empty = rules(a_waypoint(0, "a", conditions={}), a_waypoint(1, "b"))
    assert taken_back(a_document(), records, empty) == set()


def test_evidence_of_an_unknown_waypoint_is_left_to_the_fold() -> None:
    assert taken_back(a_document(), read(a_stored(1, "c")), rules(a_waypoint(1, "b"))) == set()


def test_sealed_attempts_are_not_asked_about() -> None:
    assert taken_back(a_document(processing={"sealed": 1}), read(a_stored(1, "c")), rules()) == set()


def test_of_several_versions_of_a_statement_one_that_counts_is_enough() -> None:
    assert taken_back(a_document(), read(a_stored(1, "c"), a_stored(1, "a"), a_stored(1, "c")), rules()) == set()


def test_a_retraction_names_each_statement_once_with_the_version() -> None:
    document = a_document(pendingProgress={FIRST: entries(1, 1)})
    under = rules(version=7)
    found = retraction_of(document, verdicts_on(read(a_stored(1, "c")), under, KNOWN), under, "chunk")
    assert found == Retraction(ANA, 7, {FIRST: (a_reference(1),)}, "chunk")


def test_all_that_a_fold_may_change_is_evidence() -> None:
    assert set(evidence_of(a_document())) == {(FIRST, a_reference(number)) for number in (1, 2, 3)}
    assert list(evidence_of({"_id": ANA, "completions": [], "processing": {}})) == []


@pytest.mark.parametrize("strange", [None, "text", 5, b"bytes"], ids=repr)
def test_what_is_no_id_in_a_document_that_was_edited_by_hand_ends_no_chunk(strange: object) -> None:
    """Not at the end of what is read together, nor where that goes on."""
    document = a_document(pendingProgress={FIRST: entries(3, 4, 5)})
    document["pendingProgress"][FIRST]["statements"].append({"statement": strange, "timestamp": at(9)})
    held = Held(2)
    held.take(document)
    assert (held.references, held.after, held.done) == ({a_reference(1), a_reference(2)}, a_reference(2), 0)
    rest = Held(100)
    rest.take(document, held.after)
    assert (rest.references, rest.after, rest.done) == ({*map(a_reference, (3, 4, 5))}, None, 1)


def test_holders_are_looked_for_under_every_way_of_telling_owners() -> None:
    persona = ObjectId()
    mixed = a_stored(1, "a", "ANA", person={"_id": persona, "display": "Ana"})
    ids = holders_of(read(mixed), rules(), KNOWN)
    expected = {
        progress_id(ORGANISATION, JOURNEY, owner_from("ANA@example.org", "actor", KNOWN)),
        progress_id(ORGANISATION, JOURNEY, owner_from("ana@example.org", "actor", KNOWN)),
        progress_id(ORGANISATION, JOURNEY, owner_from(str(persona), "persona", KNOWN)),
    }
    assert ids == expected
    assert holders_of(read({**mixed, "organisation": ObjectId()}), rules(), KNOWN) == set()


def test_what_is_foreseen_is_what_would_be_written() -> None:
    before = a_document()
    append: Append = replace(an_append(an_item(9)), replay="dry")
    retraction = Retraction(ANA, 1, {FIRST: (a_reference(3),), SECOND: (a_reference(1),)}, "dry")
    seen = foreseen(before, [retraction], [append], at(0))
    assert seen["pendingProgress"] == {FIRST: entries(9)}
    assert [entry.get("retract") for entry in seen["processing"]["replay"]] == [
        {FIRST: [a_reference(3)], SECOND: [a_reference(1)]},
        None,
    ]
    assert before == a_document()


def test_a_document_that_is_not_there_yet_is_foreseen_as_an_append_makes_it() -> None:
    append = replace(an_append(an_item(9)), replay="dry")
    seen = foreseen(None, [], [append], at(5))
    new = new_document(append, at(5))
    assert seen["pendingProgress"] == {FIRST: entries(9)}
    assert {**seen, "pendingProgress": new["pendingProgress"], "processing": new["processing"]} == new


def test_a_stored_document_that_the_stream_would_not_take_is_none() -> None:
    assert stored_statement({**a_stored(1, "a"), "statement": None}) is None
    assert stored_statement({**a_stored(1, "a"), "organisation": None}) is None
    assert stored_statement({**a_stored(1, "a"), "statement": {"actor": 1}}) is None
    found = stored_statement(a_stored(1, "a"))
    assert found is not None
    assert not found.is_bare
    assert (found.reference, found.timestamp) == (a_reference(1), at(1))


@pytest.mark.parametrize(
    ("text", "actor"),
    [
        ("mailto:ana@example.org", {"mbox": "mailto:ana@example.org"}),
        ("ana@example.org", {"mbox": "mailto:ana@example.org"}),
        ("http://example.org|Ana|1", {"account": {"homePage": "http://example.org", "name": "Ana|1"}}),
        ("https://ana.example.org/", {"openid": "https://ana.example.org/"}),
        ("ebd31e95054c018b10727ccffd2ef2ec3a016ee9", {"mbox_sha1sum": "ebd31e95054c018b10727ccffd2ef2ec3a016ee9"}),
        ('{"mbox": "mailto:ana@example.org", "name": "Ana"}', {"mbox": "mailto:ana@example.org", "name": "Ana"}),
    ],
)
def test_an_actor_on_the_command_line(text: str, actor: dict[str, Any]) -> None:
    assert owner_from(text, "actor", KNOWN).ident == actor


@pytest.mark.parametrize("text", ["ana", "{", "[]", "{}", '{"name": "Ana"}', "|", ""])
def test_nobody_is_called_so(text: str) -> None:
    with pytest.raises(ValueError, match=r"nobody|JSON|unexpected|Expect"):
        owner_from(text, "actor", KNOWN)


def test_a_persona_needs_its_id() -> None:
    assert owner_from(WAYPOINTS[3], "persona", KNOWN).ident == ObjectId(WAYPOINTS[3])
    with pytest.raises(ValueError, match="persona's id"):
        owner_from("ana@example.org", "persona", KNOWN)
