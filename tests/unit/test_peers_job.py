"""The job that the peers of the benchmarks do is ours: the same documents, and nothing counted twice."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from pymongo import InsertOne, UpdateOne

from processor.core.completions import items_to
from processor.core.evidence import Append
from processor.core.journey import compile_journey
from processor.core.policy import FoldingPolicy
from processor.core.promotion import promote
from schemas.journey import journey_document, journey_from
from tests.benchmarks.peers.job import Document, Event, Job, Unusable, Write, read
from tests.benchmarks.workloads import BURST, journeys, values, workloads

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORKLOADS = workloads(0.01)


def a_job() -> tuple[Job, list[Document]]:
    few = [journey_document(journey_from(it)) for it in journeys(replace(WORKLOADS["completed"], journeys=0))]
    return Job(few), few


def decided(job: Job, stream: Sequence[bytes], found: Sequence[Document] = ()) -> tuple[list[Write], list[Event]]:
    matched = job.match(map(read, stream))
    assert not matched.unusable
    return job.decide(matched.appends, found, NOW)


def inserted(writes: Sequence[Write]) -> list[Document]:
    assert all(isinstance(write, InsertOne) for write in writes)
    return [dict(write._doc) for write in writes if isinstance(write, InsertOne)]


def test_a_document_is_what_ours_would_be() -> None:
    job, (counted, _) = a_job()
    stream = list(values(WORKLOADS["bursts of 20"], 0, BURST))
    writes, (event,) = decided(job, stream)
    (document,) = inserted(writes)
    (append,) = job.match(map(read, stream)).appends.values()
    ours = promote(_appended(append), compile_journey(counted), FoldingPolicy(), NOW)
    assert {key: document[key] for key in ours.changed} == ours.changed
    assert ours.event
    assert orjson.loads(event.value) == orjson.loads(ours.event.data)
    assert event.headers["ce_sequence"] == "1"


def test_a_redelivered_statement_counts_once_and_its_event_is_told_again() -> None:
    job, _ = a_job()
    stream = list(values(WORKLOADS["everything matches"], 0, 1))
    writes, (first,) = decided(job, stream)
    again, (repeated,) = decided(job, stream, inserted(writes))
    assert not again
    assert repeated.headers["ce_id"] == first.headers["ce_id"]


def test_what_changes_nothing_is_not_written() -> None:
    job, _ = a_job()
    first, later = values(WORKLOADS["completed"], 0, 501, 500)  # the same learner's
    writes, _ = decided(job, [first])
    assert decided(job, [later], inserted(writes)) == ([], [])


def test_later_evidence_is_an_update_and_the_next_revision() -> None:
    job, _ = a_job()
    first, second = values(WORKLOADS["bursts of 20"], 0, 2)
    writes, _ = decided(job, [first])
    (update,), (event,) = decided(job, [second], inserted(writes))
    assert isinstance(update, UpdateOne)
    assert event.headers["ce_sequence"] == "2"


@pytest.mark.parametrize("value", [b"not json", b"[]", b'{"statement": {}}', b'{"statement": {"actor": {}}}', b"7"])
def test_what_cannot_be_used_goes_to_the_dead_letters(value: bytes) -> None:
    job, _ = a_job()
    (unusable,) = job.match([read(value)]).unusable
    assert unusable.value == value
    assert job.concerns(Unusable(value, "why"))


def _appended(append: Append) -> Document:
    pending = {key: {"statements": items_to(items)} for key, items in append.items.items()}
    return {
        "_id": append.progress,
        "journey": append.journey,
        "organisation": append.organisation,
        "owner": {"trackBy": append.owner.track_by, "ident": append.owner.ident},
        "createdAt": NOW,
        "updatedAt": NOW,
        "isCompleted": False,
        "completions": [],
        "pendingProgress": pending,
        "processing": {"revision": 0, "version": append.version},
    }
