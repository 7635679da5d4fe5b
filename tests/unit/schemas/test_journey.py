"""Journeys: as stored, as written by hand, as shown, and back."""

import json
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import ObjectId
from bson.codec_options import CodecOptions
from pydantic import ValidationError

from schemas.journey import Journey, journey_document, journey_from, render_journey, with_ids

ORGANISATION = "59198183d8ea540933227033"
JOURNEY = "59c23527bdf9ac67b2ab5ee6"
FIRST, SECOND = "59c237bebdf9ac67b2ab5eea", "59c237bebdf9ac67b2ab5ee9"
CLIENT = ObjectId("59c237bebdf9ac67b2ab5eff")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUERY = {"$and": [{"statement.verb.id": {"$in": ["http://example.org/did"]}}]}

STORED: dict[str, Any] = {
    "recalculateStatus": {"pushing": False, "recalculatedAt": NOW, "recalculatedByClient": CLIENT, "cancelledAt": None},
    "isActive": True,
    "sources": [ObjectId("59c236a0bdf9ac67b2ab5ee7")],
    "isSequential": False,
    "isRepeatable": True,
    "trackBy": "persona",
    "isPublic": False,
    "sendCompletedStatement": False,
    "sendCompletedStatementClients": [CLIENT],
    "version": 3,
    "_id": ObjectId(JOURNEY),
    "description": "Induction",
    "organisation": ObjectId(ORGANISATION),
    "owner": ObjectId("59c236a0bdf9ac67b2ab5ee9"),
    "waypoints": [
        {
            "description": "New waypoint",
            "isActive": True,
            "conditions": json.dumps(QUERY),
            "count": 5,
            "order": 1,
            "_id": ObjectId(FIRST),
            "colour": None,
        }
    ],
    "outcomes": [
        {
            "_id": ObjectId(SECOND),
            "description": "Tell",
            "isActive": True,
            "type": "callback",
            "callback": "https://example.org/done",
            "tripCount": 5,
            "deactivatedAt": None,
        }
    ],
    "createdAt": NOW,
    "updatedAt": NOW,
    "__v": 7,
}
"""A journey with everything that Learning Locker is known to store (learning-locker-behaviour.md, 1.2 to 1.5)."""


def a_journey(*waypoints: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"_id": JOURNEY, "organisation": ORGANISATION, "waypoints": list(waypoints), **changes}


def fault_of(document: dict[str, Any]) -> tuple[tuple[int | str, ...], str]:
    with pytest.raises(ValidationError) as caught:
        journey_from(document)
    fault = caught.value.errors()[0]
    return fault["loc"], fault["msg"]


def test_a_stored_journey_survives_a_round_trip_through_bson() -> None:
    document = bson.decode(bson.encode(STORED), CodecOptions[dict[str, Any]](tz_aware=True))

    assert journey_document(journey_from(document)) == STORED


def test_defaults_are_those_of_learning_locker() -> None:
    journey = journey_from(a_journey({"_id": FIRST}, {"_id": SECOND, "order": None}, outcomes=[{}]))

    assert journey_document(journey) == {
        "_id": ObjectId(JOURNEY),
        "organisation": ObjectId(ORGANISATION),
        "isActive": False,
        "sources": [],
        "waypoints": [
            {"_id": ObjectId(FIRST), "isActive": True, "conditions": "{}", "count": 1, "order": 0},
            {"_id": ObjectId(SECOND), "isActive": True, "conditions": "{}", "count": 1, "order": 1},
        ],
        "outcomes": [{"isActive": False, "tripCount": 0, "deactivatedAt": None}],
        "isSequential": False,
        "isRepeatable": False,
        "trackBy": "actor",
        "isPublic": False,
        "version": 1,
    }


def test_null_is_the_same_as_left_out() -> None:
    names = ["description", "isActive", "sources", "outcomes", "trackBy", "version", "recalculateStatus", "createdAt"]

    assert journey_from(a_journey(**dict.fromkeys(names))) == journey_from(a_journey())


def test_shown_as_json() -> None:
    shown = render_journey(journey_from(STORED))

    assert json.loads(json.dumps(shown)) == shown
    assert shown["waypoints"][0] == {
        "_id": FIRST,
        "id": FIRST,
        "description": "New waypoint",
        "isActive": True,
        "conditions": QUERY,
        "count": 5,
        "order": 1,
        "colour": None,
    }
    assert shown["recalculateStatus"]["recalculatedAt"] == "2026-01-01T00:00:00.000Z"
    assert shown["sendCompletedStatementClients"] == [str(CLIENT)]
    assert shown["outcomes"][0]["deactivatedAt"] is None


def test_what_was_shown_can_be_saved_again() -> None:
    """All but the dates and ids in fields that the model does not know, which come back as strings."""
    document = {key: value for key, value in STORED.items() if not key.startswith(("send", "recalculate"))}

    assert journey_document(journey_from(render_journey(journey_from(document)))) == document


def test_a_waypoint_may_have_its_id_under_the_mirror_alone() -> None:
    assert journey_from(a_journey({"id": FIRST})).waypoints[0].id == ObjectId(FIRST)
    assert with_ids(a_journey({"id": FIRST}))["waypoints"][0]["_id"] == ObjectId(FIRST)


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        ({"organisation": ORGANISATION}, ("_id",), "Field required"),
        ({"_id": JOURNEY}, ("organisation",), "Field required"),
        (a_journey({}), ("waypoints", 0, "_id"), "Field required"),
        (a_journey({"_id": "x"}), ("waypoints", 0, "_id"), "'x' is not an id of 24 hex digits"),
        (a_journey({"_id": FIRST}, {"_id": FIRST}), (), r"waypoints\[1\]\._id: .* is the id of an earlier waypoint"),
        (a_journey({"_id": FIRST, "conditions": "{"}), ("waypoints", 0, "conditions"), "not JSON"),
        (a_journey({"_id": FIRST, "count": 0}), ("waypoints", 0, "count"), "greater than or equal to 1"),
        (a_journey({"_id": FIRST, "count": "3"}), ("waypoints", 0, "count"), "valid integer"),
        (a_journey({"_id": FIRST, "count": 1.5}), ("waypoints", 0, "count"), "valid integer"),
        (a_journey({"_id": FIRST, "isActive": "yes"}), ("waypoints", 0, "isActive"), "valid boolean"),
        (a_journey(isActive=1), ("isActive",), "valid boolean"),
        (a_journey(trackBy="person"), ("trackBy",), "'actor' or 'persona'"),
        (a_journey(sources="all"), ("sources",), "valid list"),
        (a_journey(version=0), ("version",), "greater than or equal to 1"),
        (a_journey("x"), ("waypoints", 0), "valid dictionary"),  # type: ignore[arg-type]
    ],
)
def test_refuses(document: dict[str, Any], path: tuple[int | str, ...], message: str) -> None:
    found, text = fault_of(document)

    assert found == path
    with pytest.raises(ValueError, match=message):
        raise ValueError(text)


def test_a_double_without_a_fraction_is_whole() -> None:
    journey = journey_from(a_journey({"_id": FIRST, "count": 5.0, "order": 2.0}, version=3.0))

    assert repr([journey.version, journey.waypoints[0].count, journey.waypoints[0].order]) == "[3, 5, 2]"


BY_HAND: dict[str, Any] = {
    "organisation": ORGANISATION,
    "description": "Induction",
    "waypoints": [{"description": "one"}, {"description": "two", "_id": SECOND}],
}


def test_missing_ids_are_the_same_every_time() -> None:
    identified = with_ids(BY_HAND)

    assert identified == with_ids(BY_HAND)
    assert identified["waypoints"][1]["_id"] == ObjectId(SECOND)
    assert with_ids(identified) == identified
    assert isinstance(journey_from(identified), Journey)
    assert "_id" not in BY_HAND


@pytest.mark.parametrize("changes", [{"organisation": FIRST}, {"description": "Other"}])
def test_other_journeys_get_other_ids(changes: dict[str, Any]) -> None:
    one, other = with_ids(BY_HAND), with_ids({**BY_HAND, **changes})

    assert one["_id"] != other["_id"]
    assert one["waypoints"][0]["_id"] != other["waypoints"][0]["_id"]


def test_twin_waypoints_get_ids_of_their_own() -> None:
    waypoints = with_ids({**BY_HAND, "waypoints": [{}, {}]})["waypoints"]

    assert waypoints[0]["_id"] != waypoints[1]["_id"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"organisation": None}, "organisation: every journey needs one"),
        ({"description": None}, "description: a journey without an `_id` needs one"),
        ({"_id": "x"}, "_id: 'x' is not an id"),
        ({"waypoints": [{}, {"_id": 5}]}, r"waypoints\[1\]\._id: 5 is not an id"),
    ],
)
def test_ids_that_cannot_be_given(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_ids({**BY_HAND, **changes})
