"""The progress document and its event: from BSON to JSON, by the model and without it."""

import json
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import ObjectId
from bson.codec_options import CodecOptions
from pydantic import ValidationError

from schemas.events import EVENT_SCHEMA, EVENT_SOURCE, EVENT_TYPE, EventHeaders, ProgressUpdated
from schemas.progress import PUBLIC, Progress, progress_from, render_progress
from tests.golden import EXPECTED, JOURNEY, ORGANISATION

PROGRESS = "59c23b28f6463f3569446bdc"
PERSONA = "59c237bebdf9ac67b2ab5eff"
OWNER = {"trackBy": "actor", "ident": {"objectType": "Agent", "account": {"homePage": "http://e.org", "name": "Dave"}}}

GOLDEN: dict[str, Any] = {
    "_id": PROGRESS,
    "owner": OWNER,
    "createdAt": "2017-09-20T09:55:52.198Z",
    "updatedAt": "2017-09-20T09:56:04.309Z",
    "lockKey": "571bf02f-d41b-4b31-972d-f092845af816",
    "isCompleted": True,
    "completedAt": "2017-09-20T09:56:02.443Z",
    **EXPECTED,
}
"""The seed's example in full, as JSON."""

FRESH: dict[str, Any] = {
    "_id": ObjectId(PROGRESS),
    "journey": ObjectId(JOURNEY),
    "organisation": ObjectId(ORGANISATION),
    "owner": {"trackBy": "persona", "ident": ObjectId(PERSONA)},
    "createdAt": datetime(2026, 1, 1, tzinfo=UTC),
    "updatedAt": datetime(2026, 1, 1, 0, 0, 0, 999, tzinfo=UTC),
    "isCompleted": False,
    "completions": [],
    "pendingProgress": {"59c237bebdf9ac67b2ab5eea": {"statements": []}},
    "processing": {"revision": 0, "due": datetime(2026, 1, 1, tzinfo=UTC)},
}
"""A document that has just been made, as BSON."""


def golden_document() -> dict[str, Any]:
    """The seed's example as BSON."""
    return {**progress_from(GOLDEN).model_dump(by_alias=True, exclude_unset=True), "processing": {"revision": 3}}


def shown(progress: Progress) -> Any:
    return progress.model_dump(mode="json", by_alias=True, exclude_unset=True)


def test_the_seed_s_example_is_shown_to_the_letter() -> None:
    document = golden_document()

    assert document["completions"][0]["completedAt"] == datetime(2017, 9, 20, 9, 56, 2, 443_000, tzinfo=UTC)
    assert document["journey"] == ObjectId(JOURNEY)
    assert render_progress(document, with_pending=True) == GOLDEN


@pytest.mark.parametrize("tz_aware", [True, False])
@pytest.mark.parametrize("document", [golden_document(), FRESH, {**FRESH, "completedAt": None}])
def test_rendering_without_the_model_gives_what_the_model_gives(document: dict[str, Any], tz_aware: bool) -> None:
    options = CodecOptions[dict[str, Any]](tz_aware=tz_aware)
    stored = bson.decode(bson.encode(document), options)
    rendered = render_progress(stored, with_pending=True)

    assert rendered == shown(progress_from(stored))
    assert json.loads(json.dumps(rendered)) == rendered
    assert "processing" not in rendered


def test_without_pending_nothing_else_is_missing() -> None:
    whole = render_progress(FRESH, with_pending=True)

    assert render_progress(FRESH, with_pending=False) == {k: v for k, v in whole.items() if k != "pendingProgress"}


def test_rendering_leaves_the_document_alone() -> None:
    render_progress(FRESH, with_pending=True)

    assert FRESH["owner"]["ident"] == ObjectId(PERSONA)


def test_the_public_fields_are_those_of_the_model() -> None:
    assert sorted(PUBLIC) == sorted(field.alias or name for name, field in Progress.model_fields.items())


@pytest.mark.parametrize(
    "changes",
    [
        {"owner": {"trackBy": "persona", "ident": "dave"}},
        {"owner": {"trackBy": "nobody", "ident": PERSONA}},
        {"pendingProgress": {"first": {"statements": []}}},
        {"completions": {}},
        {"createdAt": "yesterday"},
    ],
)
def test_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        progress_from({**GOLDEN, **changes})


def an_event(*changes: dict[str, Any]) -> dict[str, Any]:
    return {**{key: value for key, value in GOLDEN.items() if key != "pendingProgress"}, "changes": list(changes)}


def test_an_event_is_the_document_without_pending_plus_changes() -> None:
    event = an_event(
        {"type": "started", "attempt": 0},
        {"type": "waypoint-completed", "attempt": 0, "waypoint": "59c237bebdf9ac67b2ab5eea"},
        {"type": "completed", "attempt": 0},
    )

    assert ProgressUpdated.model_validate(event).model_dump(mode="json", by_alias=True, exclude_unset=True) == event


@pytest.mark.parametrize(
    "event",
    [
        an_event({"type": "finished", "attempt": 0}),
        an_event({"type": "started", "attempt": -1}),
        an_event({"type": "progressed", "attempt": 0}),
        an_event({"type": "started", "attempt": 0, "at": "x"}),
        {**an_event(), "pendingProgress": {}},
        {**an_event(), "processing": {}},
        {key: value for key, value in GOLDEN.items() if key != "pendingProgress"},
    ],
)
def test_refuses_as_an_event(event: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ProgressUpdated.model_validate(event)


@pytest.mark.parametrize(
    ("field", "constant"),
    [("ce_type", EVENT_TYPE), ("ce_source", EVENT_SOURCE), ("ce_dataschema", EVENT_SCHEMA)],
)
def test_the_headers_promise_the_constants(field: str, constant: str) -> None:
    assert EventHeaders.model_json_schema()["properties"][field]["const"] == constant
