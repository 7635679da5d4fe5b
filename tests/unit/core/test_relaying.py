"""What a relay's account tells of its numbers, and what a document's outbox is without what was published of it."""

from typing import Any

import pytest
from bson import Int64, ObjectId

from processor.core.evidence import ProgressEvent
from processor.core.relaying import HANDY, Account, Handed, handed_of, is_handy, without_published
from tests.builders import at

RELAY = ObjectId("6a0000000000000000000001")


def an_event(revision: int, data: bytes = b"{}") -> ProgressEvent:
    return ProgressEvent(ObjectId(), revision, at(revision), data)


def marked(mark: Any, *outbox: Any) -> dict[str, Any]:
    return {"_id": 1, "journey": 2, "processing": {"revision": 3, "outbox": list(outbox), "handed": mark}}


@pytest.mark.parametrize(
    ("number", "is_published"), [(1, True), (2, False), (3, True), (4, False), (5, True), (6, False), (7, False)]
)
def test_r1_all_up_to_the_last_is_published_but_for_what_is_open_or_left(number: int, is_published: bool) -> None:
    account = Account(RELAY, 5, open=frozenset({2, 7}), left=frozenset({4}))
    assert account.is_published(number) is is_published


def test_r1_nothing_is_published_of_a_relay_that_has_not_begun() -> None:
    assert not Account(RELAY).is_published(1)


def test_a_mark_tells_who_has_the_outbox() -> None:
    mark = {"relay": RELAY, "number": 4, "revision": 7}
    assert handed_of(marked(mark)) == Handed(RELAY, 4, 7)
    assert handed_of(marked({**mark, "number": Int64(2**40), "note": "more"})) == Handed(RELAY, 2**40, 7)
    assert handed_of({"processing": {}}) is None


@pytest.mark.parametrize(
    "mark",
    [
        None,
        5,
        {},
        [],
        "6a0000000000000000000001",
        [{"relay": RELAY, "number": 4, "revision": 7}],
        {"relay": RELAY, "number": 4},
        {"relay": RELAY, "revision": 7},
        {"number": 4, "revision": 7},
        {"relay": str(RELAY), "number": 4, "revision": 7},
        {"relay": {"$oid": str(RELAY)}, "number": 4, "revision": 7},
        {"relay": None, "number": 4, "revision": 7},
        {"relay": RELAY, "number": "4", "revision": 7},
        {"relay": RELAY, "number": 4.0, "revision": 7},
        {"relay": RELAY, "number": None, "revision": 7},
        {"relay": RELAY, "number": 4, "revision": [7]},
        {"relay": RELAY, "number": 4, "revision": None},
    ],
)
def test_a_mark_that_was_edited_by_hand_names_nobody(mark: Any) -> None:
    assert handed_of(marked(mark)) is None


def test_r1_what_came_later_than_what_is_published_stays() -> None:
    outbox = [{"revision": number, "data": b"{}"} for number in (1, 2, 3, 4)]
    document = marked({"relay": RELAY, "number": 4, "revision": 2}, *outbox)
    left = without_published(document, Handed(RELAY, 4, 2))
    assert left == {"_id": 1, "journey": 2, "processing": {"revision": 3, "outbox": outbox[2:]}}


def test_r1_what_came_later_stays_also_where_events_are_kept_as_they_are() -> None:
    outbox = [an_event(number) for number in (1, 2)]
    assert without_published(marked({}, *outbox), Handed(RELAY, 4, 1))["processing"]["outbox"] == outbox[1:]
    assert without_published(marked({}, *outbox), Handed(RELAY, 4, 2))["processing"]["outbox"] == []


def test_the_document_itself_is_left_as_it_is() -> None:
    document = marked({"relay": RELAY, "number": 4, "revision": 9}, an_event(9))
    without_published(document, Handed(RELAY, 4, 9))
    assert len(document["processing"]["outbox"]) == 1
    assert document["processing"]["handed"]["number"] == 4


def test_a_document_without_an_outbox_has_an_empty_one() -> None:
    document = {"_id": 1, "processing": {"handed": {}}}
    assert without_published(document, Handed(RELAY, 4, 9)) == {"_id": 1, "processing": {"outbox": []}}


@pytest.mark.parametrize(("size", "may_be_handed"), [(0, True), (HANDY, True), (HANDY + 1, False)])
def test_a_large_event_is_not_handed_over(size: int, may_be_handed: bool) -> None:
    assert is_handy(an_event(1, b"x" * size)) is may_be_handed
