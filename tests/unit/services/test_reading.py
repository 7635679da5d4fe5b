"""However records are read, the same comes of them: at a glance first, or at once where nearly all match."""

import random
from datetime import timedelta
from typing import Any

import orjson
import pytest

from processor.core.decode import Tenancy
from processor.core.evidence import Key
from processor.core.glance import Glance, LeaveOut
from processor.core.index import JourneyIndex
from processor.core.journey import compile_journey
from processor.core.matching import Matched
from processor.core.records import batch_of
from processor.services import reading
from processor.services.finished import Finished
from processor.services.reading import AT_ONCE, Read, Reading, ReadingPolicy
from tests.builders import (
    JOURNEY,
    ORGANISATION,
    WAYPOINTS,
    a_journey,
    a_record,
    a_reference,
    a_statement,
    a_statement_document,
    at,
)
from tests.unit.services.world import World

STRIDE = 5
ELSE = {"id": "http://example.org/else"}
INDEX = JourneyIndex([compile_journey(a_journey(_id=JOURNEY))])


@pytest.fixture
def glanced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many values were glanced at, each time."""
    glance, times = Glance.unsettled, list[int]()

    def spy(self: Glance, values: Any, leave_out: LeaveOut | None = None) -> Any:
        times.append(len(values))
        return glance(self, values, leave_out)

    monkeypatch.setattr(Glance, "unsettled", spy)
    return times


def a_reading(finished: Finished | None = None) -> Reading:
    return Reading(ReadingPolicy(Tenancy(ORGANISATION), stride=STRIDE, piece=2), finished, World().around)


def read(values: list[Any], how: Reading | None = None) -> Read:
    records = [a_record(it if isinstance(it, bytes) else orjson.dumps(it), place) for place, it in enumerate(values)]
    whole = Read()
    for piece in (how or a_reading()).pieces(batch_of(records), INDEX):
        whole.add(piece)
    return whole


def evidence(matched: Matched) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for append in matched.appends:
        for items in append.items.values():
            found.setdefault(str(append.progress), []).extend(items)
    return found


def documents(number: int) -> list[Any]:
    return [a_statement_document(it) for it in range(number)]


def test_where_all_match_most_strides_are_not_glanced_at(glanced: list[int]) -> None:
    found = read(documents(STRIDE * (2 * AT_ONCE + 3)))
    assert glanced == [STRIDE] * 3
    assert found.matched.matches == found.statements == STRIDE * (2 * AT_ONCE + 3)


def test_where_little_matches_all_strides_are(glanced: list[int]) -> None:
    sparse = [a_statement_document(it, statement=a_statement(it, verb=ELSE)) for it in range(STRIDE * 3)]
    assert read(sparse + documents(1)).matched.matches == 1
    assert glanced == [STRIDE] * 3 + [1]


def test_where_less_matches_than_before_the_next_stride_is_glanced_at(glanced: list[int]) -> None:
    sparse = [a_statement_document(it, statement=a_statement(it, verb=ELSE)) for it in range(STRIDE * 2)]
    assert read(documents(STRIDE * 2) + sparse).matched.matches == STRIDE * 2
    assert glanced == [STRIDE] * 2


def test_what_cannot_be_sighted_at_once_is_glanced_at_and_read_in_its_place(glanced: list[int]) -> None:
    values: list[Any] = documents(STRIDE * 2)
    values[STRIDE + 1] = a_statement(99)  # a bare one
    found = read(values)
    assert glanced == [STRIDE, 1]
    assert found.records == found.statements == found.matched.matches == STRIDE * 2
    assert [it.record.offset for it in found.matched.kept] == [STRIDE + 1]
    [items] = evidence(found.matched).values()
    assert [it.statement for it in items[:STRIDE]] == [a_reference(it) for it in range(STRIDE)]
    assert items[STRIDE + 1].statement == found.matched.kept[0].reference


@pytest.mark.parametrize("seed", range(20))
def test_i3_the_same_comes_of_them(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(seed)
    nobody = a_statement(76, actor={"account": {"homePage": "http://example.org", "name": ""}})
    strange: list[Any] = [
        b"",
        a_statement_document(76, statement=nobody),
        b"[]",
        b"not json",
        a_statement(77),
        a_statement_document(78, statement=a_statement(78, verb={})),
    ]
    others: list[Any] = [
        a_statement_document(79, statement=a_statement(79, verb=ELSE)),
        a_statement_document(80, voided=True),
    ]
    values = [dice.choice(strange + others) if dice.random() < 0.1 else it for it in documents(STRIDE * 30)]
    at_once = read(values)
    monkeypatch.setattr(reading, "AT_ONCE", 0)
    glanced_at = read(values)
    assert evidence(at_once.matched) == evidence(glanced_at.matched)
    assert at_once.matched.matches == glanced_at.matched.matches
    assert [it.message for it in at_once.rejected] == [it.message for it in glanced_at.rejected]
    assert [it.reference for it in at_once.matched.kept] == [it.reference for it in glanced_at.matched.kept]
    assert at_once.statements - at_once.records == glanced_at.statements - glanced_at.records


def test_who_is_through_meanwhile_is_passed_over_after_some_strides(glanced: list[int]) -> None:
    """Sighted at once they are matched in vain; the next glance leaves them out, and so do those after it."""
    finished = Finished(timedelta(hours=1))
    how = a_reading(finished)
    finished.look((), at(0))
    read(documents(STRIDE * 2), how)
    progress, actor = read(documents(1)).matched.appends[0].progress, a_statement()["actor"]
    finished.learn(INDEX.journeys[JOURNEY], progress, actor, Key(at(-9), 0, a_reference(0), WAYPOINTS[0]))
    glanced.clear()
    found = read(documents(STRIDE * (AT_ONCE + 9)), how)
    assert found.matched.matches == STRIDE * (AT_ONCE - 1)
    assert glanced == [STRIDE] * 10
    assert finished.left_out == STRIDE * 10
