"""When a statement happened: the document's time, else the statement's, else `stored`, else the record's."""

from datetime import UTC, datetime
from typing import Any

import pytest

from processor.core.decode import EPOCH
from processor.core.records import Reason
from tests.builders import START, a_statement, a_statement_document
from tests.unit.core.decoding import refused, statement_in, without

DAYS = {name: f"2026-01-0{number}T00:00:00.000Z" for number, name in enumerate(("a", "b", "c", "d"), start=1)}
RECORD = datetime(2026, 1, 1, 10, tzinfo=UTC)


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def a_document(timestamp: str | None, inner: str | None, stored: str | None, inner_stored: str | None) -> Any:
    times = {"timestamp": inner, "stored": inner_stored}
    statement = {**without(a_statement(), "timestamp"), **{key: value for key, value in times.items() if value}}
    return a_statement_document(statement=statement, timestamp=timestamp, stored=stored)


@pytest.mark.parametrize(
    ("sources", "timestamp", "stored"),
    [
        ((DAYS["a"], DAYS["b"], DAYS["c"], DAYS["d"]), day(1), day(3)),
        ((None, DAYS["b"], DAYS["c"], DAYS["d"]), day(2), day(3)),
        ((None, None, DAYS["c"], DAYS["d"]), day(3), day(3)),
        ((None, None, None, DAYS["d"]), day(4), day(4)),
        ((None, None, None, None), RECORD, RECORD),
        ((DAYS["a"], None, None, None), day(1), RECORD),
    ],
    ids=["document", "statement", "stored", "statement.stored", "record", "no stored"],
)
def test_the_order_of_event_time_sources(
    sources: tuple[str | None, ...], timestamp: datetime, stored: datetime
) -> None:
    found = statement_in(a_document(*sources))
    assert (found.timestamp, found.document["timestamp"]) == (timestamp, timestamp)
    assert found.document["stored"] == stored


def test_a_bare_statement_has_its_own_time_or_the_records() -> None:
    assert statement_in(a_statement(timestamp=DAYS["b"])).timestamp == day(2)
    assert statement_in({**without(a_statement(), "timestamp"), "stored": DAYS["c"]}).timestamp == day(3)
    assert statement_in(without(a_statement(), "timestamp")).timestamp == RECORD


@pytest.mark.parametrize(
    "spelling",
    [
        "2026-01-01T10:00:00.000Z",
        "2026-01-01T10:00:00.000999Z",  # milliseconds are what BSON holds
        "2026-01-01T11:00:00+01:00",
        "2026-01-01 10:00:00z",
        "2026-01-01T09:59:60Z",  # a leap second
        "2025-12-31T24:00:00-10:00",
        {"$date": "2026-01-01T10:00:00Z"},
        {"$date": 1767261600000},
        {"$date": {"$numberLong": "1767261600000"}},
        {"$dte": "2026-01-01T10:00:00.000Z"},
    ],
    ids=str,
)
def test_dates_in_all_spellings(spelling: Any) -> None:
    found = statement_in(a_statement_document(timestamp=spelling, stored=spelling))
    assert (found.timestamp, found.document["stored"]) == (START, START)
    assert found.timestamp.tzinfo is UTC


def test_a_record_without_a_time_is_of_1970() -> None:
    """Kafka's -1: an old producer told none."""
    assert statement_in(without(a_statement(), "timestamp"), timestamp=-1).timestamp == EPOCH


@pytest.mark.parametrize("milliseconds", [253_402_300_800_000, 2**62])
def test_i3_a_record_with_an_impossible_time_is_refused(milliseconds: int) -> None:
    """Whatever a producer wrote there must not stop the partition."""
    rejected = refused(without(a_statement(), "timestamp"), timestamp=milliseconds)
    assert rejected.reason == Reason.INVALID_TIMESTAMP
    assert str(milliseconds) in rejected.message
