"""The nouns of ingest."""

from processor.core.records import Record, batch_of


def test_the_span_of_a_batch_is_what_it_covers_of_each_partition() -> None:
    records = tuple(Record("statements", partition, offset, 0, b"{}") for partition, offset in [(0, 7), (0, 8), (2, 3)])
    batch = batch_of(records)
    assert batch.offsets == {("statements", 0): 9, ("statements", 2): 4}
    assert batch.span == "statements-0[7..8] statements-2[3..3]"
