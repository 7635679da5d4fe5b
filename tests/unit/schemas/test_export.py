"""The exported files: as the models are, good JSON Schema, and true of what really travels."""

import json
from datetime import UTC, datetime
from typing import Any, get_args

import orjson
import pytest
from bson import ObjectId
from jsonschema import Draft202012Validator

from processor.core.evidence import ProgressEvent
from processor.core.letters import time_header
from processor.core.records import Reason, Record, Rejected
from processor.transport.dead_letters import letter
from processor.transport.events import message_of
from schemas.events import EVENT_SCHEMA
from schemas.export import DIRECTORY, NOUNS, files, schema_of
from schemas.records import DeadLetterReason
from tests.builders import a_journey
from tests.golden import JOURNEY_DOCUMENT, STATEMENT_DOCUMENTS
from tests.unit.schemas.samples import CONFORMANCE, COURSE, lines, needs
from tests.unit.schemas.test_progress import GOLDEN, an_event

ASYNCAPI = json.loads(files()["asyncapi.json"])


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(schema_of(name))


def faults(name: str, instance: Any) -> list[str]:
    return [fault.message for fault in validator(name).iter_errors(instance)]


def test_the_files_are_those_of_the_models() -> None:
    """Run `make docs` when this fails."""
    written = {path.name: path.read_text(encoding="utf-8") for path in DIRECTORY.iterdir()}

    assert written == files()


@pytest.mark.parametrize("name", NOUNS)
def test_every_file_is_good_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(schema_of(name))


def test_the_dataschema_of_events_is_the_id_of_its_file() -> None:
    assert schema_of("progress-updated")["$id"] == EVENT_SCHEMA


@pytest.mark.parametrize(
    ("name", "instance"),
    [
        ("progress", GOLDEN),
        ("progress-updated", an_event({"type": "completed", "attempt": 0})),
        ("journey", JOURNEY_DOCUMENT),
        ("journey", json.loads(json.dumps(a_journey(), default=str))),
        ("statement-document", STATEMENT_DOCUMENTS[0]),
        ("statement", STATEMENT_DOCUMENTS[0]["statement"]),
    ],
)
def test_real_instances_pass(name: str, instance: Any) -> None:
    assert faults(name, instance) == []


@pytest.mark.parametrize(
    ("name", "instance"),
    [
        ("progress", {**GOLDEN, "processing": {}}),
        ("progress", {**GOLDEN, "journey": "x"}),
        ("progress-updated", GOLDEN),
        ("progress-updated", an_event({"type": "finished", "attempt": 0})),
        ("journey", {**JOURNEY_DOCUMENT, "trackBy": "person"}),
        ("journey", {**JOURNEY_DOCUMENT, "organisation": None}),
        ("statement-document", {**STATEMENT_DOCUMENTS[0], "statement": {}}),
        ("statement", {**STATEMENT_DOCUMENTS[0]["statement"], "actor": {"name": "Ana"}}),
        ("statement", {**STATEMENT_DOCUMENTS[0]["statement"], "result": None}),
    ],
)
def test_broken_instances_do_not(name: str, instance: Any) -> None:
    assert faults(name, instance) != []


@needs(CONFORMANCE)
def test_the_schema_of_statements_takes_every_valid_case() -> None:
    judge = validator("statement")
    refused = [case["name"] for case in lines(CONFORMANCE) if case["valid"] and not judge.is_valid(case["statement"])]

    assert refused == []


@needs(COURSE)
def test_the_schema_of_statements_takes_the_course() -> None:
    judge = validator("statement")

    assert all(judge.is_valid(statement) for statement in lines(COURSE)[::40])


@pytest.mark.parametrize("replay", [True, False])
def test_the_headers_of_events_are_those_that_are_sent(replay: bool) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    data = orjson.dumps(an_event({"type": "completed", "attempt": 0}))
    message = message_of(ProgressEvent(ObjectId(), 1, now, data, replay))
    headers = {name: value.decode() for name, value in message.headers}

    assert faults("progress-updated-headers", headers) == []
    assert ("ce_replay" in headers) is replay


@pytest.mark.parametrize("item", [None, 3])
@pytest.mark.parametrize("limit", [1, 10_000])
def test_the_headers_of_dead_letters_are_those_that_are_sent(item: int | None, limit: int) -> None:
    rejected = Rejected(Record("xapi.statements", 0, 7, 0, b"{"), Reason.NOT_JSON, "no JSON", item)
    time = time_header(datetime(2026, 1, 1, tzinfo=UTC))
    headers = {name: value.decode() for name, value in letter(rejected, time, limit).headers}

    assert faults("dead-letter-headers", headers) == []
    assert headers.keys() <= schema_of("dead-letter-headers")["properties"].keys()


def test_the_reasons_are_the_processor_s() -> None:
    assert list(get_args(DeadLetterReason)) == list(Reason)


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        found = [value["$ref"]] if "$ref" in value else []
        return found + [reference for child in value.values() for reference in references(child)]
    return [reference for child in value for reference in references(child)] if isinstance(value, list) else []


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    found = references(ASYNCAPI)

    assert len(found) > 10
    for reference in found:
        if reference.startswith("./"):
            assert (DIRECTORY / reference).is_file(), reference
            continue
        target: Any = ASYNCAPI
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def test_the_asyncapi_document_has_the_three_topics() -> None:
    assert ASYNCAPI["asyncapi"] == "3.0.0"
    assert [channel["address"] for channel in ASYNCAPI["channels"].values()] == [
        "xapi.statements",
        "xapi.statements.dead-letters",
        "journey.progress-updated",
    ]
