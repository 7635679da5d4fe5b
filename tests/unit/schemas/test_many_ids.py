"""Many ids, timestamps and UUIDs at once are what each is by itself, whatever stands beside it."""

from collections.abc import Callable, Sequence
from itertools import product

import pytest

from schemas.formats import are_uuids, is_uuid
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


UUIDS = (
    "6690e6c9-3ef0-4ed3-8b37-000001c9c380",
    "6690E6C9-3EF0-4ED3-AB37-000001C9C38F",
    "6690e6c9-3ef0-4ed3-7b37-000001c9c380",
    "6690e6c9-3ef0-4ed3-8b37-000001c9c38h",
    "6690e6c9-3ef0-4ed3-8b37-000001c9c38\u0661",
    "6690e6c93-ef0-4ed3-8b37-000001c9c380",
    "6690e6c9-3ef0-4ed3-8b37-000001c9c38",
    "06690e6c9-3ef0-4ed3-8b37-000001c9c380",
    "",
)


@pytest.mark.parametrize("several", list(product(IDS, IDS)), ids=repr)
def test_ids(several: tuple[str, ...]) -> None:
    assert found(parse_object_ids, several) == found(each(parse_object_id), several)


@pytest.mark.parametrize("several", list(product(TIMES, TIMES)), ids=repr)
def test_timestamps(several: tuple[str, ...]) -> None:
    assert found(parse_timestamps, several) == found(each(parse_timestamp), several)


@pytest.mark.parametrize("several", [(), *product(UUIDS), *product(UUIDS, UUIDS)], ids=repr)
def test_uuids(several: tuple[str, ...]) -> None:
    assert are_uuids(several) is all(map(is_uuid, several))


def each(parse: Callable[[str], object]) -> Callable[[Sequence[str]], list[object]]:
    return lambda texts: list(map(parse, texts))


def found(parse: Callable[[Sequence[str]], object], texts: Sequence[str]) -> object:
    try:
        return parse(texts)
    except ValueError:
        return None
