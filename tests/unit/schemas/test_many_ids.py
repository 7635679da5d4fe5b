"""Many ids and timestamps at once are what each is by itself, whatever stands beside it."""

from itertools import product

import pytest

from schemas.ids import parse_object_id, parse_object_ids, parse_timestamp, parse_timestamps

IDS = ("5" * 24, "A" * 24, "5" * 23, "5" * 25, "5" * 22 + "  ", " " * 24, "é" * 24, "x" * 24, "")
TIMES = (
    "2026-01-01T10:00:00.000Z",
    "2026-01-01T10:00:00.123456Z",
    "2026-02-30T10:00:00.000Z",
    "2026-01-01T24:00:00.000Z",
    "2026-01-01T10:00:00,000Z",
    "2026-01-01 10:00:00.000Z",
    "2026-01-01",
    "",
)


@pytest.mark.parametrize("several", list(product(IDS, IDS)), ids=repr)
def test_ids(several: tuple[str, ...]) -> None:
    texts = set(several)
    assert parse_object_ids(texts) == {text: alone(parse_object_id, text) for text in texts}


@pytest.mark.parametrize("several", list(product(TIMES, TIMES)), ids=repr)
def test_timestamps(several: tuple[str, ...]) -> None:
    texts = set(several)
    assert parse_timestamps(texts) == {text: alone(parse_timestamp, text) for text in texts}


def alone(parse: object, text: str) -> object:
    assert callable(parse)
    try:
        return parse(text)
    except ValueError:
        return None
