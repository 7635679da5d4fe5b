"""Whose progress a statement is (semantics.md, section 2)."""

import sys
from hashlib import sha1
from typing import Any

import orjson
import pytest
from bson import Code, ObjectId

from processor.core.evidence import Owner
from processor.core.identity import (
    Identification,
    Uncounted,
    inverse_functional_identifier,
    owners_of,
    progress_id,
    statement_reference,
)
from tests.builders import JOURNEY, ORGANISATION, an_owner
from tests.unit.core.matching import PLAIN

LOWERCASE = Identification(lowercase_actors=True)
MEMBERS = Identification(count_group_members=True)

ANA = {"mbox": "mailto:ana@example.org"}
BEN = {"account": {"homePage": "http://example.org", "name": "Ben"}}
PERSONA = ObjectId("59c236a0bdf9ac67b2ab5ee7")


def test_an_identity_is_compact_json_and_for_ever_the_same() -> None:
    """Progress documents are found by what is derived of it."""
    every = "".join(chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000)
    assert identity({"openid": every}) == orjson.dumps(["actor", "openid", every])


def test_a_text_that_bson_has_as_code_is_a_text() -> None:
    assert identity({"mbox": Code("mailto:ana@example.org")}) == identity(ANA)


def owners(actor: dict[str, Any], identification: Identification = PLAIN) -> tuple[Owner, ...] | Uncounted:
    return owners_of({"statement": {"actor": actor}}, "actor", identification)


def identity(actor: dict[str, Any], identification: Identification = PLAIN) -> bytes:
    found = owners(actor, identification)
    assert isinstance(found, tuple)
    [owner] = found
    return owner.identity


@pytest.mark.parametrize(
    ("actor", "identifier"),
    [
        (ANA, ("mbox", "mailto:ana@example.org")),
        ({"mbox_sha1sum": "f00"}, ("mbox_sha1sum", "f00")),
        ({"openid": "http://ana.example.org"}, ("openid", "http://ana.example.org")),
        (BEN, ("account", "http://example.org", "Ben")),
        ({"name": "Ana"}, None),
        ({"account": {"homePage": "http://example.org"}}, None),
        ({"account": "Ben"}, None),
        ({"mbox": 5}, None),
        ({"mbox": "", **BEN}, ("account", "http://example.org", "Ben")),
        ({**BEN, **ANA}, ("mbox", "mailto:ana@example.org")),  # not valid xAPI: the order is Learning Locker's
    ],
    ids=str,
)
def test_the_one_inverse_functional_identifier(actor: dict[str, Any], identifier: tuple[str, ...] | None) -> None:
    assert inverse_functional_identifier(actor) == identifier


def test_the_owner_is_the_actor_as_first_seen_and_its_identity_the_identifier_alone() -> None:
    named = {**ANA, "objectType": "Agent", "name": "Ana"}
    assert owners(named) == (Owner("actor", named, identity(ANA)),)


def test_mbox_and_its_sha1sum_are_two_identities() -> None:
    digest = sha1(ANA["mbox"].encode(), usedforsecurity=False).hexdigest()
    assert identity({"mbox_sha1sum": digest}) != identity(ANA)


def test_an_account_cannot_be_taken_for_another_whose_parts_are_cut_elsewhere() -> None:
    one = {"account": {"homePage": "http://example.org/a", "name": "b"}}
    other = {"account": {"homePage": "http://example.org/", "name": "ab"}}
    assert identity(one) != identity(other)


@pytest.mark.parametrize(
    "actor",
    [{"mbox": "mailto:Ana@Example.org"}, {"openid": "http://Ana.example.org"}, BEN],
    ids=["mbox", "openid", "account"],
)
def test_lowercase_actors_folds_case_and_without_it_comparison_is_exact(actor: dict[str, Any]) -> None:
    folded = _folded(actor)
    assert identity(actor) != identity(folded)
    assert identity(actor, LOWERCASE) == identity(folded, LOWERCASE) == identity(folded)


def test_lowercase_actors_leaves_a_sha1sum_and_the_ident_alone() -> None:
    digest = {"mbox_sha1sum": "ABCD"}
    assert identity(digest, LOWERCASE) == identity(digest) != identity({"mbox_sha1sum": "abcd"}, LOWERCASE)
    found = owners(BEN, LOWERCASE)
    assert isinstance(found, tuple)
    assert [owner.ident for owner in found] == [BEN]


def _folded(value: Any) -> Any:
    return {key: _folded(child) for key, child in value.items()} if isinstance(value, dict) else value.lower()


def test_an_identified_group_is_an_owner_of_its_own() -> None:
    group = {"objectType": "Group", **BEN, "member": [ANA]}
    for identification in (PLAIN, MEMBERS):
        assert owners(group, identification) == (Owner("actor", group, identity(BEN)),)


def test_an_anonymous_group_is_nobody() -> None:
    assert owners({"objectType": "Group", "member": [ANA, BEN]}) == Uncounted.ANONYMOUS_GROUP


def test_count_group_members_makes_it_count_for_each_distinct_member() -> None:
    group = {"objectType": "Group", "member": [ANA, BEN, {**ANA, "name": "Ana again"}, {"name": "no one"}]}
    found = owners(group, MEMBERS)
    assert isinstance(found, tuple)
    assert [owner.identity for owner in found] == [identity(ANA), identity(BEN)]
    assert [owner.ident for owner in found] == [ANA, BEN]  # as first seen


@pytest.mark.parametrize("members", [[], [{"name": "no one"}]])
def test_a_group_of_no_identified_member_is_nobody_even_then(members: list[Any]) -> None:
    assert owners({"objectType": "Group", "member": members}, MEMBERS) == Uncounted.ANONYMOUS_GROUP
    assert owners({"objectType": "Group"}, MEMBERS) == Uncounted.ANONYMOUS_GROUP


def test_a_persona_is_the_documents() -> None:
    document = {"person": {"_id": PERSONA}, "statement": {"actor": ANA}}
    found = owners_of(document, "persona", PLAIN)
    assert isinstance(found, tuple)
    assert [(owner.track_by, owner.ident) for owner in found] == [("persona", PERSONA)]
    assert found == owners_of({**document, "statement": {"actor": BEN}}, "persona", PLAIN)
    assert found != owners_of({**document, "person": {"_id": ORGANISATION}}, "persona", PLAIN)


@pytest.mark.parametrize("person", [None, {}, {"_id": None}, {"_id": "ana"}, "ana"])
def test_without_a_persona_it_is_not_counted(person: Any) -> None:
    assert owners_of({"person": person, "statement": {"actor": ANA}}, "persona", PLAIN) == Uncounted.NO_PERSONA
    assert owners_of({"statement": {"actor": ANA}}, "persona", PLAIN) == Uncounted.NO_PERSONA


def test_trap_4_the_progress_id_is_derived_from_organisation_journey_and_owner() -> None:
    ids = {
        progress_id(ORGANISATION, JOURNEY, an_owner()),
        progress_id(JOURNEY, ORGANISATION, an_owner()),
        progress_id(ORGANISATION, ORGANISATION, an_owner()),
        progress_id(ORGANISATION, JOURNEY, an_owner("ben")),
    }
    assert len(ids) == 4
    assert progress_id(ORGANISATION, JOURNEY, an_owner()) in ids


def test_the_derived_ids_are_the_same_for_ever() -> None:
    """They stand in databases: a change of the derivation would orphan every document."""
    assert str(progress_id(ORGANISATION, JOURNEY, an_owner())) == "8e94ef49576b1e6f94e38405"
    assert str(statement_reference("6690E6C9-3ef0-4ed3-8b37-7f3964730bee")) == "45f0bd35dfd9ded4cf929cbf"
