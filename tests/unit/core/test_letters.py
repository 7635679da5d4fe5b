"""Reading dead letters, and choosing among them."""

import pytest
from msgspec.structs import replace

from processor.core.letters import (
    ITEMS,
    DeadLetter,
    Place,
    Selection,
    Stretch,
    condensed,
    explanation,
    letter_of,
    omission,
    parse_stretch,
    time_header,
)
from processor.core.records import Reason, Record, Rejected
from tests.builders import at

ORIGINAL = Record("xapi.statements", 3, 12, 99, b"{", b"key", (("organisation", b"\xff"), ("a", b"1"), ("a", b"2")))


def parked(original: Record = ORIGINAL, reason: Reason = Reason.NOT_JSON, item: int | None = None) -> Record:
    why = explanation(Rejected(original, reason, "why", item))
    headers = (*original.headers, *why, time_header(at(0)))
    return Record("dead", 0, 5, 100, original.value, original.key, headers)


def test_a_letter_is_read_as_it_was_written() -> None:
    assert letter_of(parked(item=4)) == DeadLetter(
        Place("dead", 0, 5),
        ORIGINAL.value,
        ORIGINAL.key,
        ORIGINAL.headers,
        reason="not-json",
        message="why",
        origin=Place("xapi.statements", 3, 12),
        item=4,
        time=at(0),
        timestamp=99,
    )


def test_headers_of_the_original_that_look_like_ours_are_the_originals() -> None:
    """A dead letter that somebody copied to the statements topic by hand, headers and all."""
    copied = replace(parked(), topic="xapi.statements", partition=0, offset=13)
    again = letter_of(parked(copied, Reason.EMPTY))
    assert again.headers == copied.headers
    assert (again.reason, again.origin) == ("empty", Place("xapi.statements", 0, 13))


def test_a_lone_surrogate_in_the_message_can_be_sent() -> None:
    headers = explanation(Rejected(ORIGINAL, Reason.INVALID_ID, "'\ud800' is not an id"))
    assert dict(headers)["dead-letter-message"] == b"'?' is not an id"


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("dead-letter-topic", b"x"),),
        (("dead-letter-reason", b"\xff"), ("dead-letter-offset", b"-"), ("dead-letter-time", b"yesterday")),
        (("dead-letter-reason", b"x"), ("dead-letter-topic", b"x"), ("dead-letter-partition", b"9" * 40)),
    ],
)
def test_what_is_no_letter_of_ours_is_shown_but_never_chosen(headers: tuple[tuple[str, bytes], ...]) -> None:
    letter = letter_of(Record("dead", 0, 5, 100, b"?", None, headers))
    assert letter.origin is None
    assert Selection().takes(letter)
    assert not Selection(frozenset({letter.reason})).takes(letter)


def test_letters_of_a_record_that_was_replayed_and_parked_again_are_alike() -> None:
    """Wherever it lay: else each replay of what stays bad would publish twice as much as the last."""
    one = letter_of(parked()).likeness
    assert letter_of(parked(replace(ORIGINAL, offset=13), item=2)).likeness == one
    changes: list[dict[str, object]] = [{"value": b"["}, {"timestamp": 5}, {"headers": ()}, {"key": b"k"}]
    assert one not in {letter_of(parked(replace(ORIGINAL, **it))).likeness for it in changes}


def test_letters_of_one_record_share_an_identity_and_others_do_not() -> None:
    one = letter_of(parked(item=1)).identity
    assert letter_of(replace(parked(item=2), offset=77)).identity == one
    assert letter_of(parked(replace(ORIGINAL, offset=13))).identity != one
    assert letter_of(parked(replace(ORIGINAL, value=b"["))).identity != one  # the topic was made anew
    without = parked()
    without = replace(without, value=None, headers=(*without.headers, omission(ORIGINAL)))
    assert letter_of(without).identity == one


@pytest.mark.parametrize(
    ("text", "stretch"),
    [
        ("a-b.c-3", Stretch("a-b.c", 3, 0, None)),
        ("a-3@7", Stretch("a", 3, 7, 7)),
        ("a-3@7..9", Stretch("a", 3, 7, 9)),
        (str(Place("xapi.statements", 0, 12)), Stretch("xapi.statements", 0, 12, 12)),
    ],
)
def test_stretches_are_written_as_places_are(text: str, stretch: Stretch) -> None:
    assert parse_stretch(text) == stretch


@pytest.mark.parametrize("text", ["", "a", "a-b", "a-3@", "a-3@x", "a-3@1..", "a-3@1-2", "-3"])
def test_what_is_no_stretch_says_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError, match="TOPIC-PARTITION"):
        parse_stretch(text)


@pytest.mark.parametrize(
    ("selection", "is_taken"),
    [
        (Selection(), True),
        (Selection(reasons=frozenset({"empty", "not-json"})), True),
        (Selection(reasons=frozenset({"empty"})), False),
        (Selection(since=at(0)), True),
        (Selection(since=at(1)), False),
        (Selection(until=at(1)), True),
        (Selection(until=at(0)), False),
        (Selection(records=(parse_stretch("xapi.statements-3"),)), True),
        (Selection(records=(parse_stretch("xapi.statements-3@13"), parse_stretch("xapi.statements-3@12"))), True),
        (Selection(records=(parse_stretch("xapi.statements-3@13..14"),)), False),
        (Selection(records=(parse_stretch("xapi.statements-2@12"),)), False),
        (Selection(records=(parse_stretch("other-3@12"),)), False),
        (Selection(frozenset({"not-json"}), at(0), at(1), (parse_stretch("xapi.statements-3@10..20"),)), True),
        (Selection(frozenset({"not-json"}), at(1), at(2), (parse_stretch("xapi.statements-3@10..20"),)), False),
    ],
)
def test_a_selection_takes_what_fits_all_of_it(selection: Selection, is_taken: bool) -> None:
    assert selection.takes(letter_of(parked())) is is_taken


def bad_items(number: int, offset: int = 12) -> list[Rejected]:
    reasons = (Reason.NO_TENANT, Reason.WRONG_SHAPE)
    return [Rejected(replace(ORIGINAL, offset=offset), reasons[it % 2], f"why {it}", it) for it in range(number)]


def test_a_few_bad_items_leave_a_letter_each() -> None:
    rejected = [*bad_items(ITEMS), *bad_items(ITEMS, offset=13)]
    assert sorted(condensed(rejected), key=lambda it: (it.record.offset, it.item)) == rejected


def test_i3_many_bad_items_of_a_record_leave_one_for_each_reason() -> None:
    beside = bad_items(2, offset=13)
    first, second, *others = condensed([*bad_items(2 * ITEMS + 1), *beside])
    assert (first.reason, first.item, first.message) == (Reason.NO_TENANT, 0, f"{ITEMS + 1} items, the first: why 0")
    assert (second.reason, second.item, second.message) == (Reason.WRONG_SHAPE, 1, f"{ITEMS} items, the first: why 1")
    assert others == beside
