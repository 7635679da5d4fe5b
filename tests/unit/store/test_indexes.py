"""Each index is paid at every write."""

from processor.store.connect import PROGRESSES
from processor.store.indexes import INDEXES, MARKS


def test_there_are_few_and_a_document_at_rest_is_in_none_of_the_marks() -> None:
    described = [index.document for index in INDEXES[PROGRESSES]]
    assert len(described) == len(MARKS) + 4
    assert all(it["sparse"] for it in described if list(it["key"]) in [[mark] for mark in MARKS])
    assert len({it["name"] for it in described}) == len(described)
