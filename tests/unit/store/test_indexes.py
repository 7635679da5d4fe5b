"""Each index is paid at every write."""

from processor.store.connect import ATTEMPTS, JOURNEYS, PROGRESSES, RECALCULATIONS, RELAYS
from processor.store.indexes import INDEXES, MARKS


def test_there_are_few_and_a_document_at_rest_is_in_none_of_the_marks() -> None:
    assert set(INDEXES) == {PROGRESSES, ATTEMPTS, JOURNEYS, RECALCULATIONS, RELAYS}
    described = [index.document for index in INDEXES[PROGRESSES]]
    assert len(described) == len(MARKS) + 8
    assert all(it["sparse"] for it in described if list(it["key"]) in [[mark] for mark in MARKS])
    assert len({it["name"] for it in described}) == len(described)


def test_only_one_index_of_the_interfaces_is_written_after_a_documents_first_write() -> None:
    moving = {"updatedAt", "isCompleted", "completedAt", "completions", "pendingProgress", "lockKey"}
    of_interfaces = [index.document for index in INDEXES[PROGRESSES] if "organisation" in index.document["key"]]
    assert [it["name"] for it in of_interfaces if moving & set(it["key"])] == ["organisation_updatedAt_id"]
