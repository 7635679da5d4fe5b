"""Saving a journey over the one that is stored: versions, dates, and what is broken in it."""

from datetime import timedelta
from typing import Any

import pytest

from processor.core.revision import known_journey, mendable, revision_of, version_of
from schemas.journey import journey_document, journey_from
from tests.unit.schemas.test_journey import NOW, STORED, a_journey

LATER = NOW + timedelta(days=1)


def test_a_new_journey_gets_its_dates() -> None:
    saved = revision_of(journey_from(a_journey()), None, NOW)

    assert saved is not None
    assert (saved.createdAt, saved.updatedAt, saved.version) == (NOW, NOW, 1)


def test_a_journey_that_did_not_change_is_not_saved() -> None:
    before = journey_from(STORED)
    same = journey_from({**STORED, "createdAt": None, "updatedAt": None, "version": 1})

    assert revision_of(same, before, LATER) is None


@pytest.mark.parametrize(
    ("changes", "version"),
    [
        ({"description": "Other"}, 3),
        ({"isActive": False}, 3),
        ({"isSequential": True}, 4),
        ({"sources": []}, 4),
        ({"waypoints": []}, 4),
        ({"trackBy": "actor", "version": 9}, 9),
    ],
)
def test_version_grows_with_what_is_computed(changes: dict[str, Any], version: int) -> None:
    saved = revision_of(journey_from({**STORED, **changes}), journey_from(STORED), LATER)

    assert saved is not None
    assert saved.version == version
    assert (saved.createdAt, saved.updatedAt) == (NOW, LATER)


def asking(conditions: Any) -> dict[str, Any]:
    return {**STORED, "waypoints": [{**STORED["waypoints"][0], "conditions": conditions}]}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": False}, {"a": 0}),
        ({"a": {"$in": [0, 1]}}, {"a": {"$in": [0, True]}}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 2, "b": 1}}),
    ],
)
def test_what_python_takes_for_the_same_is_another_version(before: Any, after: Any) -> None:
    saved = revision_of(journey_from(asking(after)), journey_from(asking(before)), LATER)

    assert saved is not None
    assert (saved.version, saved.waypoints[0].conditions) == (4, after)


def test_an_unknown_field_that_python_takes_for_the_same_is_saved() -> None:
    saved = revision_of(journey_from({**STORED, "colour": True}), journey_from({**STORED, "colour": 1}), LATER)

    assert saved is not None
    assert (saved.version, journey_document(saved)["colour"]) == (3, True)


def test_a_status_that_is_no_object_breaks_no_journey() -> None:
    assert journey_from({**STORED, "recalculateStatus": "broken"}).recalculateStatus is None
    assert known_journey({**STORED, "version": "3"}) is None


def test_a_broken_date_is_mended_without_a_new_version() -> None:
    """Nothing that is computed has changed: a version would fold all anew, and seal what is complete."""
    known = known_journey({**STORED, "updatedAt": "yesterday"})
    saved = revision_of(journey_from(STORED), known, LATER)
    assert saved is not None
    assert (saved.version, saved.createdAt, saved.updatedAt) == (3, journey_from(STORED).createdAt, LATER)


def test_what_is_broken_of_the_servers_own_is_left_out() -> None:
    broken = {**STORED, "version": "3", "createdAt": {}, "trackBy": "person"}
    assert mendable(broken) == {key: value for key, value in broken.items() if key not in {"version", "createdAt"}}
    assert mendable(STORED) == STORED
    assert [version_of(it) for it in (None, {}, broken, {"version": 5.0, "waypoints": 7}, STORED)] == [0, 1, 1, 5, 3]
