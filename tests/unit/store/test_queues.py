"""Where looks at a queue begin. That nothing is passed over for good is the contract's, `test_store_looks.py`."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from processor.store.queues import DEEPER, EARLIEST, SLACK, Look, Marked, Queue, instants, is_held
from tests.builders import at

LEASE = 60


def looked(queue: Queue, second: float) -> Look:
    """Look once and find nothing; no lease ends before the longest that may begin now."""
    with queue.look(at(second), at(second + LEASE)) as look:
        look.saw([], [], at(second))
        if look.leases:
            queue.none_expired(at(second), at(second + LEASE))
    return look


def marked(dues: list[Any]) -> Marked:
    return [{"processing": {"due": due}} for due in dues]


def test_a_look_begins_where_the_last_one_left_nothing() -> None:
    queue = Queue("processing.due", "processing.lease")
    assert looked(queue, 0).marks == {"$exists": True}
    assert looked(queue, 1).marks == {"$gte": at(0) - SLACK}
    assert looked(queue, 1.5).marks == {"$gte": at(1) - SLACK}


def test_every_other_second_a_look_goes_deeper_and_every_tenth_it_is_at_the_start() -> None:
    queue, step = Queue("processing.due", "processing.lease"), 0.1
    seconds = [number * step for number in range(int(LEASE / step) + 1)]
    begins = [looked(queue, second).marks for second in seconds]
    assert [begin for begin in begins if "$gte" not in begin] == [{"$exists": True}] * (LEASE // 10 + 1)
    depths = [at(second) - begin["$gte"] for second, begin in zip(seconds, begins, strict=True) if "$gte" in begin]
    deeper = [depth for depth in depths if depth == DEEPER]
    assert len(deeper) == pytest.approx(LEASE * 0.4, abs=2)  # of five in ten seconds, one is at the start
    assert max(depth for depth in depths if depth != DEEPER) <= SLACK + timedelta(seconds=2 * step)


def test_leases_are_looked_at_when_the_first_of_them_may_run_out() -> None:
    queue = Queue("processing.due", "processing.lease")
    seconds = [*range(1, LEASE)]
    with queue.look(at(0), at(LEASE)) as look:
        look.saw([], [], at(0))
        queue.none_expired(at(0), at(50))
    assert [second for second in seconds if looked(queue, second).leases] == [51]
    assert looked(queue, LEASE).leases == {"$gte": EARLIEST}


def test_after_a_look_that_failed_one_begins_at_the_start() -> None:
    """What it saw, it may not have claimed."""
    queue = Queue("processing.due", "processing.lease")
    looked(queue, 0)
    with suppress(OSError), queue.look(at(1), at(1 + LEASE)) as look:
        look.saw([], [], at(1))
        raise OSError
    assert looked(queue, 2).marks == {"$exists": True}


def test_after_the_clock_was_set_back_one_begins_at_the_start() -> None:
    queue = Queue("processing.due", "processing.lease")
    looked(queue, 100)
    assert looked(queue, 50).marks == {"$exists": True}


def test_what_is_marked_while_a_look_is_under_way_is_seen_by_the_next() -> None:
    queue = Queue("processing.due", "processing.lease")
    looked(queue, 9)
    with queue.look(at(10), at(10 + LEASE)) as look:
        with queue.marking(at(5)):  # begun long ago, it lands after the reading
            pass
        look.saw([], [], at(10))
    assert looked(queue, 10.1).marks == {"$gte": at(5)}


def test_marking_that_failed_may_have_marked() -> None:
    queue = Queue("processing.due", "processing.lease")
    looked(queue, 100)
    with pytest.raises(OSError, match="away"), queue.marking(at(5)):
        raise OSError("away")
    assert looked(queue, 100.1).marks == {"$gte": at(5)}


@pytest.mark.parametrize(
    ("lease", "is_so"), [(None, False), (at(5), False), (at(10), True), (at(20), True), ("x", True)]
)
def test_who_holds_a_document(lease: object, is_so: bool) -> None:
    """A lease that lasts, and what somebody has put in its place by hand: MongoDB, too, compares instants alone."""
    document = {"processing": {} if lease is None else {"lease": lease}}
    assert is_held(document, "processing.lease", at(10)) is is_so


@pytest.mark.parametrize(("last", "held"), [(["by hand"], []), ([], ["by hand"]), ([at(0)], ["by hand"])])
def test_after_a_mark_that_somebody_put_there_one_begins_at_the_start(last: list[Any], held: list[Any]) -> None:
    """What else is there cannot be told from it."""
    queue = Queue("processing.due", "processing.lease")
    looked(queue, 0)
    with queue.look(at(1), at(1 + LEASE)) as look:
        look.saw(marked(last), marked(held), at(1))
    assert looked(queue, 2).marks == {"$exists": True}


def test_a_mark_that_is_no_instant_does_not_count() -> None:
    documents = [{"processing": {"due": due}} for due in (at(1), "by hand", at(2))]
    assert instants(documents, "processing.due") == [at(1), at(2)]
