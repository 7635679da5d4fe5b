"""What reading a record whole says, to hold to it what is told from less."""

import json
from collections.abc import Sequence
from math import isfinite

import pytest

from processor.core.decode import Tenancy, decode
from processor.core.identity import Identification, owners_of
from processor.core.index import JourneyIndex, Match
from processor.core.matching import fault_of
from processor.core.records import Reason, Record, Rejected
from processor.core.sighting import Sighting, sighted, sighted_at_once


def is_sighted_right(index: JourneyIndex, value: bytes, things: Sequence[Match]) -> bool:
    """Tell whether it is sighted; if so, it has to be what reading it whole and matching give."""
    [sighting] = sighted([value], [(0, things)])
    return sighting is not None and _is_right(sighting, index, value)


def is_sighted_right_at_once(index: JourneyIndex, value: bytes | None) -> bool:
    """Tell the same of what is not glanced at before."""
    [sighting] = sighted_at_once([value], index.glance)
    return sighting is not None and value is not None and _is_right(sighting, index, value)


def _is_right(sighting: Sighting, index: JourneyIndex, value: bytes) -> bool:
    [found] = decode(Record("statements", 0, 0, 1, value), Tenancy())
    if isinstance(found, Rejected):
        assert found.reason == Reason.NOT_JSON, found
        assert has_vast_number(value)
        return True
    assert (sighting.reference, sighting.timestamp) == (found.reference, found.timestamp)
    assert sorted(sighting.matches, key=id) == sorted(index.matches(found), key=id)
    if sighting.matches:
        assert not fault_of(found)
    for track_by in ("actor", "persona"):
        owners, others = (owners_of(it.document, track_by, Identification()) for it in (sighting, found))
        assert owners == others
        assert str(owners) == str(others)  # the order of what an actor says, too
    return True


def has_vast_number(value: bytes) -> bool:
    """Tell JSON in which nothing is wrong but a number that no double holds."""
    vast = []

    def number(text: str) -> float:
        vast.append(not isfinite(float(text)))
        return 0.0

    json.loads(value.decode(), parse_float=number, parse_int=number, parse_constant=pytest.fail)
    return any(vast)
