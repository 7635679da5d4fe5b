"""Every spelling of ids and timestamps, and what each refusal says."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from bson import ObjectId
from bson.datetime_ms import DatetimeMS
from bson.tz_util import FixedOffset
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from schemas.ids import (
    Id,
    Timestamp,
    _from_any_iso,
    _from_iso,
    format_far,
    format_timestamp,
    format_timestamps,
    parse_far,
    parse_object_id,
    parse_timestamp,
)
from schemas.rendering import rendered

HEX = "59c23b28f6463f3569446bdc"
INSTANT = datetime(2017, 9, 20, 9, 55, 50, 310_000, tzinfo=UTC)
MILLISECONDS = 1_505_901_350_310


@pytest.mark.parametrize("value", [ObjectId(HEX), HEX, HEX.upper(), {"$oid": HEX}])
def test_an_id_in_every_spelling(value: Any) -> None:
    assert parse_object_id(value) == ObjectId(HEX)


@pytest.mark.parametrize(
    "value",
    [
        HEX[:-1],
        HEX + "0",
        HEX[:-1] + "g",
        HEX[:-2] + "  ",
        HEX[:-1] + "\uff11",
        "",
        None,
        5,
        b"59c23b28f646",
        {"$oid": 5},
        {"$oid": HEX, "x": 1},
        {"$id": HEX},
        [HEX],
    ],
)
def test_what_is_no_id(value: Any) -> None:
    with pytest.raises(ValueError, match="is not an id of 24 hex digits"):
        parse_object_id(value)


@pytest.mark.parametrize(
    "value",
    [
        INSTANT,
        INSTANT.replace(tzinfo=None),
        INSTANT.astimezone(timezone(timedelta(hours=5, minutes=30))),
        INSTANT + timedelta(microseconds=999),
        "2017-09-20T09:55:50.310Z",
        "2017-09-20T09:55:50.31Z",
        "2017-09-20T09:55:50,310999999Z",
        "2017-09-20t09:55:50.310z",
        "2017-09-20 09:55:50.310Z",
        "2017-09-20T15:25:50.310+05:30",
        "2017-09-20T15:25:50.310+0530",
        "2017-09-20T14:55:50.310+05",
        "2017-09-20T09:55:50.310-00:00",
        {"$date": "2017-09-20T09:55:50.310Z"},
        {"$dte": "2017-09-20T09:55:50.310Z"},
        {"$date": MILLISECONDS},
        {"$date": {"$numberLong": str(MILLISECONDS)}},
        {"$date": INSTANT},
    ],
)
def test_a_timestamp_in_every_spelling(value: Any) -> None:
    parsed = parse_timestamp(value)

    assert parsed == INSTANT
    assert parsed.tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2017-09-20", datetime(2017, 9, 20, tzinfo=UTC)),
        ("2017-09-20T09:55Z", datetime(2017, 9, 20, 9, 55, tzinfo=UTC)),
        ({"$date": -1}, datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        ("1969-12-31T23:59:59.9999Z", datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999Z", datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31 23:59:60,9999z", datetime(2017, 1, 1, 0, 0, 0, 999_000, tzinfo=UTC)),
        ("2017-01-01T05:29:60.5+05:30", datetime(2017, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        ("2016-12-31T24:00Z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31t24:00:00.000z", datetime(2017, 1, 1, tzinfo=UTC)),
        ("2016-12-31T24:00:00,0-01:00", datetime(2017, 1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T24:00:00+01:00", datetime(9999, 12, 31, 23, tzinfo=UTC)),
    ],
)
def test_the_edges_of_timestamps(value: Any, instant: datetime) -> None:
    assert parse_timestamp(value) == instant


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("20170920T095550Z", "basic format"),
        ("20170920T095550.310+0530", "basic format"),
        ("20170920", "basic format"),
        ("2017-09-20T09:55:50", "a time without a zone"),
        ("2017-02-29T00:00:00Z", "not a possible instant: day is out of range"),
        ("2017-09-20T24:00:00.001Z", "not a possible instant: hour"),
        ("2017-09-20T24:00:60Z", "not a possible instant: hour"),
        ("2017-09-20T24:01Z", "not a possible instant: hour"),
        ("2017-09-20T25:00:00Z", "not a possible instant: hour"),
        ("2016-12-31T23:59:61Z", "not a possible instant: second"),
        ("2016-02-30T23:59:60Z", "not a possible instant"),
        ("9999-12-31T23:59:60Z", "not a possible instant: second"),
        ("9999-12-31T24:00Z", "not a possible instant: hour"),
        ("0000-01-01T00:00:00Z", "not a possible instant: year 0 is out of range"),
        ("10000-01-01T00:00:00Z", "years are 0001 to 9999"),
        ("+012017-09-20T00:00:00Z", "years are 0001 to 9999"),
        ("-0044-03-15T00:00:00Z", "years are 0001 to 9999"),
        ("0001-01-01T00:00:00+01:00", "outside the years 0001 to 9999"),
        ("9999-12-31T23:59:59-01:00", "outside the years 0001 to 9999"),
        ("20 Sep 2017", "not an ISO 8601 timestamp"),
        ("2017-09-20T09:55:50 Z", "not an ISO 8601 timestamp"),
        ("\uff12017-09-20T09:55:50Z", "not an ISO 8601 timestamp"),
        ("", "not an ISO 8601 timestamp"),
        (MILLISECONDS, "is not a timestamp"),
        (None, "is not a timestamp"),
        ({"$date": True}, "is not a timestamp"),
        ({"$date": 1.5}, "is not a timestamp"),
        ({"$date": {"$numberLong": "9" * 20}}, "is not a timestamp"),
        ({"$date": {"$numberLong": "9" * 19}}, "not within the years 0001 to 9999"),
        ({"$date": 10**400}, "not within the years 0001 to 9999"),
        ({"$date": "2017-09-20", "x": 1}, "is not a timestamp"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), "outside the years 0001 to 9999"),
    ],
)
def test_what_is_no_timestamp(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_timestamp(value)
    assert len(str(caught.value)) < 150


USUAL = "2017-09-20T09:55:50.310Z"
signs = st.sampled_from("0123456789-+:.,TtZzW \N{SUPERSCRIPT TWO}\N{ARABIC-INDIC DIGIT THREE}")


@given(
    st.datetimes().map(lambda it: f"{it.isoformat(timespec='milliseconds')}Z"),
    st.lists(st.tuples(st.integers(0, 23), signs), max_size=3),
)
@example(USUAL, [(5, "W"), (8, "1")])
@example(USUAL, [(11, "2"), (12, "4")])
@example(USUAL, [(17, "6"), (18, "0")])
def test_the_usual_spelling_is_read_as_any_other(text: str, changed: list[tuple[int, str]]) -> None:
    letters = list(text)
    for place, sign in changed:
        letters[place] = sign
    assert read(_from_iso, "".join(letters)) == read(_from_any_iso, "".join(letters))


def read(reading: Callable[[str], datetime], text: str) -> tuple[datetime, object] | str:
    try:
        found = reading(text)
    except ValueError as error:
        return str(error)
    return found, found.tzinfo


@given(st.datetimes(timezones=st.timezones() | st.none()))
def test_a_written_timestamp_reads_as_the_same_instant(value: datetime) -> None:
    try:
        instant = parse_timestamp(value)
    except ValueError:
        assert not 1 < value.year < 9999
        return
    written = format_timestamp(instant)

    assert len(written) == len("2017-09-20T09:55:50.310Z")
    assert parse_timestamp(written) == instant


@pytest.mark.parametrize("milliseconds", [8_640_000_000_000_000, -(10**17), 2**63 - 1, -(2**63)])
def test_an_instant_beyond_the_years_is_written_and_read_and_is_no_timestamp(milliseconds: int) -> None:
    written = format_far(DatetimeMS(milliseconds))
    assert written == rendered({"a": [DatetimeMS(milliseconds)]})["a"][0]
    assert parse_far(written) == DatetimeMS(milliseconds)
    for value in (written, DatetimeMS(milliseconds)):
        with pytest.raises(ValueError, match=r"9999|not a timestamp"):
            parse_timestamp(value)


@pytest.mark.parametrize("value", [None, "2017", {"$date": 5}, {"$date": {"$numberLong": str(2**63)}}, {"a": {}}])
def test_nothing_else_is_such_an_instant(value: Any) -> None:
    assert parse_far(value) is None


@given(st.datetimes(timezones=st.none() | st.just(UTC) | st.just(FixedOffset(0, "UTC"))))
def test_an_instant_is_written_as_isoformat_does_with_milliseconds(value: datetime) -> None:
    assert format_timestamp(value) == value.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def test_a_time_of_another_zone_is_written_in_utc() -> None:
    assert format_timestamp(INSTANT.astimezone(timezone(timedelta(hours=2)))) == "2017-09-20T09:55:50.310Z"
    assert format_timestamp(INSTANT.replace(tzinfo=None)) == "2017-09-20T09:55:50.310Z"


@given(
    st.lists(
        st.datetimes(
            timezones=st.sampled_from([None, UTC, *map(timezone, (timedelta(hours=2), timedelta(seconds=20)))])
        ),
        max_size=4,
    )
)
def test_several_are_written_as_each_is(values: list[datetime]) -> None:
    near = INSTANT.astimezone(timezone(timedelta(seconds=20)))
    values += [INSTANT, INSTANT.replace(microsecond=0), INSTANT.replace(tzinfo=None), near]
    assert format_timestamps(values) == list(map(format_timestamp, values))


def test_fields_are_bson_in_python_and_strings_in_json() -> None:
    ids, timestamps = TypeAdapter[ObjectId](Id), TypeAdapter[datetime](Timestamp)

    assert ids.dump_python(ids.validate_python(HEX)) == ObjectId(HEX)
    assert ids.dump_python(ObjectId(HEX), mode="json") == HEX
    assert timestamps.dump_python(timestamps.validate_python({"$date": MILLISECONDS})) == INSTANT
    assert timestamps.dump_python(INSTANT, mode="json") == "2017-09-20T09:55:50.310Z"
