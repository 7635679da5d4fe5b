"""What a measurement comes to, and the statements it is made with."""

from dataclasses import replace

import pytest

from processor.core.decode import Tenancy, decode
from processor.core.identity import Identification
from processor.core.index import index_journeys
from processor.core.matching import match
from processor.core.records import Record, StatementRecord
from processor.core.sample import Sample
from processor.core.sizing import Measured
from schemas.journey import journey_document, journey_from, with_ids

MEASURED = Measured(10_000, 500, 500, 2.0, 1.9, 0.2, 100_000_000, 1_000.0, [number / 1_000 for number in range(1_000)])


@pytest.mark.parametrize(
    ("cpu", "mongo", "limit"),
    [(1.9, 0.2, "CPU:"), (1.9, 1.9, "CPU:"), (0.5, 1.2, "MongoDB:"), (0.5, 0.2, "waiting,"), (0.5, None, "waiting,")],
)
def test_what_limits_is_what_has_nothing_left(cpu: float, mongo: float | None, limit: str) -> None:
    assert limit in replace(MEASURED, cpu=cpu, mongo=mongo).limit


@pytest.mark.parametrize(("rate", "processes"), [(1, 1), (3_000, 1), (3_001, 2), (30_000, 10)])
def test_processes_leave_headroom(rate: float, processes: int) -> None:
    assert MEASURED.rate == 5_000
    assert MEASURED.processes_for(rate) == processes


def test_percentiles_are_of_what_was_seen() -> None:
    assert MEASURED.percentile(0.5) == 0.5
    assert MEASURED.percentile(0.99) == 0.99
    assert MEASURED.percentile(1.0) == 0.999
    assert replace(MEASURED, latencies=[]).percentile(0.5) is None


@pytest.mark.parametrize("match_rate", [0.0, 0.05, 0.3, 1.0])
def test_as_many_statements_match_as_asked_each_of_another_learner(match_rate: float) -> None:
    sample = Sample(match_rate, journeys=3)
    documents = [journey_document(journey_from(with_ids(dict(it)))) for it in sample.journey_documents()]
    index, _ = index_journeys(documents, {})
    assert len(index.journeys) == 3
    decoded = [
        statement
        for number in range(1_000)
        for statement in decode(Record("", 0, number, 0, sample.statement(number)[1]), Tenancy())
    ]
    records = [it for it in decoded if isinstance(it, StatementRecord)]
    assert len({record.reference for record in records}) == 1_000
    matched = match(records, index, Identification())
    assert not matched.rejected
    assert matched.matches == len(matched.appends) == 1_000 * match_rate
