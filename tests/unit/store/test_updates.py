"""The writes as values: what no server has to be asked for."""

from typing import Any

import pytest
from bson import decode, encode
from bson.codec_options import CodecOptions
from msgspec.structs import replace
from pymongo import UpdateMany, UpdateOne

from processor.core.evidence import ProgressEvent
from processor.core.relaying import HANDY
from processor.ports.progress import Outbox, RelayLease
from processor.store import marks, outbox, updates
from tests.builders import JOURNEY, ORGANISATION, WAYPOINTS, a_promotion, a_reference, an_append, an_item, at

LOCK = "0a5a4ed8-6b1c-4c1c-8a41-6a3f2a3c8d10"
PENDING = f"pendingProgress.{WAYPOINTS[0]}.statements"
PROGRESS = a_reference(7)
DOCUMENT: dict[str, Any] = {"_id": PROGRESS, "processing": {"revision": 4}}


def parts(write: UpdateOne | UpdateMany) -> tuple[dict[str, Any], dict[str, Any]]:
    """The filter and the update of a write."""
    assert isinstance(write._doc, dict)
    return dict(write._filter), write._doc


def touched(update: dict[str, Any]) -> list[str]:
    return [path for fields in update.values() for path in fields]


def test_trap_4_an_append_is_an_upsert_by_the_derived_id_and_nothing_else() -> None:
    append = an_append(an_item(1))
    write = updates.append_update(append, at(0))
    assert parts(write)[0] == {"_id": append.progress}
    assert write._upsert is True


def test_a_new_document_begins_as_in_the_seed() -> None:
    _, update = parts(updates.append_update(an_append(), at(0)))
    assert update["$setOnInsert"] == {
        "journey": JOURNEY,
        "organisation": ORGANISATION,
        "owner": {"trackBy": "actor", "ident": {"mbox": "mailto:ana@example.org"}},
        "createdAt": at(0),
        "isCompleted": False,
        "completions": [],
        "processing.revision": 0,
    }


def test_i2_evidence_is_added_to_a_set_always_with_the_same_field_order() -> None:
    _, update = parts(updates.append_update(an_append(an_item(1), an_item(2)), at(0)))
    added = update["$addToSet"][PENDING]["$each"]
    assert [list(entry) for entry in added] == [["statement", "timestamp"]] * 2
    assert [entry["statement"] for entry in added] == [a_reference(1), a_reference(2)]


def test_trap_7_an_append_tells_its_version_and_never_lowers_it() -> None:
    _, update = parts(updates.append_update(an_append(version=3), at(0)))
    assert update["$max"]["processing.version"] == 3


def test_trap_2_a_claim_takes_the_lock_and_clears_the_mark_in_one_update() -> None:
    holder = {"worker": "w", "since": at(0)}
    assert marks.claim_update(LOCK, at(60), holder) == {
        "$set": {"lockKey": LOCK, "processing.lease": at(60), "processing.holder": holder},
        "$unset": {"processing.due": ""},
    }


def test_a_claim_repeats_its_condition_on_the_candidates() -> None:
    condition = marks.claimable("processing.due", "processing.lease", [a_reference(1)], at(5))
    assert condition["_id"] == {"$in": [a_reference(1)]}
    assert condition["$or"] == [
        {"processing.due": {"$exists": True}, "processing.lease": None},
        {"processing.lease": {"$lt": at(5)}},
    ]


def test_p1_trap_3_an_apply_matches_only_under_the_lock_and_its_lease_and_uses_the_lease_up() -> None:
    condition, update = parts(updates.apply_update(a_promotion(DOCUMENT), LOCK, at(60), at(5)))
    assert condition == {"_id": PROGRESS, "lockKey": LOCK, "processing.lease": at(60)}
    assert "processing.lease" in update["$unset"]
    assert "lockKey" not in touched(update)  # it stays, as Learning Locker leaves it


def test_trap_1_an_apply_pulls_exactly_what_was_consumed() -> None:
    _, update = parts(updates.apply_update(a_promotion(DOCUMENT, an_item(1)), LOCK, at(60), at(5)))
    assert update["$pullAll"] == {PENDING: [{"statement": a_reference(1), "timestamp": at(1)}]}
    assert not any(path.startswith("pendingProgress") for path in touched(update) if path != PENDING)


def test_p3_an_apply_never_touches_the_due_mark() -> None:
    _, update = parts(updates.apply_update(a_promotion(DOCUMENT, an_item(1)), LOCK, at(60), at(5)))
    assert "processing.due" not in touched(update)


def test_p2_completions_pending_and_outbox_are_one_update() -> None:
    promotion = a_promotion(DOCUMENT, an_item(1))
    _, update = parts(updates.apply_update(promotion, LOCK, at(60), at(9)))
    assert update["$set"] == {
        "processing.folded": 1,
        "startedAt": at(5),
        "processing.revision": 5,
    }
    assert update["$max"] == {"updatedAt": at(9)}  # unless somebody has appended since
    assert update["$push"]["processing.outbox"]["revision"] == 5
    assert update["$min"] == {"processing.publish": at(9)}


def test_r1_an_event_takes_the_place_of_what_is_published_and_is_handed_over_or_marked() -> None:
    promotion, lease = a_promotion(DOCUMENT, an_item(1)), RelayLease(a_reference(9), 7, at(99))
    _, update = parts(updates.apply_update(promotion, LOCK, at(60), at(9), Outbox(is_idle=True, lease=lease)))
    [entry] = update["$set"]["processing.outbox"]
    assert entry["revision"] == 5
    assert update["$set"]["processing.handed"] == {"relay": a_reference(9), "number": 7, "revision": 5}
    assert "processing.publish" not in touched(update)
    _, update = parts(updates.apply_update(promotion, LOCK, at(60), at(9), Outbox(is_idle=True)))
    [entry] = update["$set"]["processing.outbox"]
    assert entry["revision"] == 5
    assert update["$min"] == {"processing.publish": at(9)}
    assert "processing.handed" in update["$unset"]


def test_what_is_not_handy_is_not_handed_over() -> None:
    """It would stay in its document, which is as large, until the next event."""
    promotion, lease = a_promotion(DOCUMENT, an_item(1)), RelayLease(a_reference(9), 7, at(99))
    assert promotion.event
    large = replace(promotion, event=replace(promotion.event, data=b"x" * (HANDY + 1)))
    _, update = parts(updates.apply_update(large, LOCK, at(60), at(9), Outbox(is_idle=True, lease=lease)))
    assert update["$min"] == {"processing.publish": at(9)}
    assert "processing.handed" not in update["$set"]


def test_an_apply_that_decides_nothing_only_gives_the_lease_back() -> None:
    promotion = a_promotion(DOCUMENT, has_event=False, processing={})
    _, update = parts(updates.apply_update(promotion, LOCK, at(60), at(5)))
    assert update == {"$unset": {"processing.lease": "", "processing.holder": ""}}


def test_a_none_under_processing_and_a_removed_field_are_unset() -> None:
    promotion = replace(
        a_promotion(DOCUMENT, has_event=False, processing={"waiting": None, "sealed": 1}), removed=("duration",)
    )
    _, update = parts(updates.apply_update(promotion, LOCK, at(60), at(5)))
    assert update["$set"] == {"processing.sealed": 1}
    assert update["$unset"].keys() - {"processing.holder"} == {"processing.lease", "duration", "processing.waiting"}


def test_r1_a_forget_marks_the_outbox_again_when_claimed_events_are_left() -> None:
    claimed = [an_event(1), an_event(2), an_event(3)]
    [(write, _)] = outbox.forget_updates({PROGRESS: claimed}, {PROGRESS: 1}, LOCK)
    condition, update = parts(write)
    assert condition == {"_id": {"$in": [PROGRESS]}, "processing.relayKey": LOCK}
    assert update["$pull"] == {"processing.outbox": {"revision": {"$lte": 1}}}
    assert update["$min"] == {"processing.publish": at(2)}


def test_a_forget_of_all_that_was_claimed_leaves_the_publish_mark_to_later_promotions() -> None:
    [(write, _)] = outbox.forget_updates({PROGRESS: [an_event(1), an_event(2)]}, {PROGRESS: 2}, LOCK)
    assert "processing.publish" not in touched(parts(write)[1])


def test_documents_that_need_the_same_forget_share_one_and_the_others_have_their_own() -> None:
    same, other, left = map(a_reference, (1, 2, 3))
    outboxes = {same: [an_event(1)], PROGRESS: [an_event(1)], other: [an_event(2)], left: [an_event(1), an_event(2)]}
    forgets = outbox.forget_updates(outboxes, {same: 1, PROGRESS: 1, other: 2, left: 1}, LOCK)
    assert [parts(it.write)[0]["_id"]["$in"] for it in forgets] == [[same, PROGRESS], [other], [left]]
    assert [it.left_since for it in forgets] == [None, None, at(2)]


@pytest.mark.parametrize("replay", [False, True])
def test_r1_an_event_comes_back_from_the_outbox_to_the_letter(replay: bool) -> None:
    event = replace(an_event(3), replay=replay, data=b'{"z":1,"a.b":{"$set":"\xe2\x82\xac"}}')
    stored: dict[str, Any] = decode(encode(outbox.outbox_entry(event)), CodecOptions(tz_aware=True))
    document = {"_id": event.progress, "processing": {"outbox": [stored]}}
    assert outbox.events_from(document) == (event,)


@pytest.mark.parametrize(
    "write",
    [
        updates.append_update(an_append(an_item(1)), at(0)),
        updates.apply_update(a_promotion(DOCUMENT, an_item(1)), LOCK, at(60), at(5)),
        outbox.forget_updates({PROGRESS: [ProgressEvent(PROGRESS, 2, at(2), b"{}")]}, {PROGRESS: 1}, LOCK)[0].write,
    ],
    ids=["append", "apply", "forget"],
)
def test_no_update_touches_a_path_twice(write: UpdateOne | UpdateMany) -> None:
    """MongoDB refuses an update with two operators on one path, or on a path and its parent."""
    paths = touched(parts(write)[1])
    assert len(paths) == len(set(paths))
    assert not [(one, two) for one in paths for two in paths if two.startswith(f"{one}.")]


def an_event(revision: int) -> ProgressEvent:
    return ProgressEvent(PROGRESS, revision, at(revision), b"{}")
