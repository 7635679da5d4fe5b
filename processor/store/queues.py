"""Where a look for marked documents begins: not at the start of the index, among all that was ever claimed.

What a write takes out of an index, WiredTiger keeps as a deleted entry while somebody might read the past (five
minutes, mongod's `minSnapshotHistoryWindowInSeconds`, and until its page is written). A look steps over each of them,
half a microsecond apiece, up to the first entry that is left: at 500 promotions a second a claim took 15 ms after half
a minute, and learners waited 150 ms where 30 are usual (DECISIONS.md, 84). So a look begins where the last one has
left nothing, and leases are looked at when the first of them may run out. Some looks go deeper, and every ten seconds
one begins at the start: what another process has marked with an earlier instant, because its clock is behind or its
write took long, waits for that. What a process marks itself, its next look finds. So nothing is passed over for good:
neither what was appended during a promotion (P3), nor events that wait (R1), nor what a dead worker held.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from processor.store.connect import Document

SLACK = timedelta(seconds=0.25)
"""How late another process's mark may come, by its clock or its write, and still be found by the next look."""

DEEPER = timedelta(seconds=5)
"""How late it may come and still be found by a deeper look; each entry passed over takes mongod microseconds."""

BETWEEN = timedelta(seconds=2)
"""From one deeper look to the next."""

START = timedelta(seconds=10)
"""From one look from the start to the next: what comes later still waits so long, at the most."""

EARLIEST = datetime.min.replace(tzinfo=UTC)

Marked = Sequence[Mapping[str, Any]]
"""Documents with their mark and lease."""


class Expiring(NamedTuple):
    """The leases there are end after an instant, the first of them at another."""

    after: datetime
    first: datetime


class Look:
    """One look. `marks` is what a mark has to be, and `leases` what a lease has to be, None to pass these over."""

    def __init__(self, mark: str, marks: Document, leases: Document | None) -> None:
        self._mark = mark
        self.marks = marks
        self.leases = leases
        self.low: datetime | None = None
        self.is_lost = False

    def saw(self, last: Marked, held: Marked, now: datetime) -> None:
        """Tell the last of the documents that were found if there may be more, and which of all are held by a lease.

        The marks of what is free go with the claim; what is held may be free at any time.
        """
        marks = instants([*last, *held[:1]], self._mark)
        self.is_lost = len(marks) < len(last) + len(held[:1])  # somebody put something else there: from the start again
        self.lower(min([now - SLACK, *marks]))

    def lower(self, instant: datetime) -> None:
        """Let the next look begin here, or earlier."""
        self.low = instant if self.low is None else min(self.low, instant)


class Queue:
    """The documents with `mark`, and those whose `lease` ran out, as far as the loop that claims them has looked."""

    def __init__(self, mark: str, lease: str) -> None:
        self.mark = mark
        self.lease = lease
        self._low: datetime | None = None
        self._from_start: datetime | None = None
        self._expiry_from_start: datetime | None = None
        self._deeper: datetime | None = None
        self._expiring: Expiring | None = None
        self._open: list[Look] = []

    @contextmanager
    def look(self, now: datetime, until: datetime) -> Iterator[Look]:
        """Look once, to claim `until`: from the start after one that failed, and every `START`.

        Leases are looked through from the start once in the time of one.
        """
        if not _is_within(self._from_start, now, min(START, until - now)):
            self._low, self._from_start, self._deeper = None, now, now
        if not _is_within(self._expiry_from_start, now, until - now):
            self._expiring, self._expiry_from_start = None, now
        look = Look(self.mark, self._marks(now), self._leases(now))
        self._open.append(look)
        try:
            yield look
        except BaseException:
            self._from_start = self._expiry_from_start = None
            raise
        finally:
            self._open.remove(look)
        self._low = None if look.is_lost else look.low

    def _marks(self, now: datetime) -> Document:
        if self._low is None:
            return {"$exists": True}
        if _is_within(self._deeper, now, BETWEEN):
            return {"$gte": self._low}
        self._deeper = now
        return {"$gte": min(self._low, now - DEEPER)}

    def _leases(self, now: datetime) -> Document | None:
        if self._expiring is None:
            return {"$gte": EARLIEST}  # an instant: what else somebody put there runs never out
        return {"$gte": self._expiring.after} if now > self._expiring.first else None

    def none_expired(self, now: datetime, first: datetime) -> None:
        """Tell that no lease has run out by now, and when the first one may."""
        self._expiring = Expiring(now, first)

    @contextmanager
    def marking(self, instant: datetime) -> Iterator[None]:
        """Mark documents with an instant: however long that takes, the next look sees it."""
        try:
            yield
        finally:
            self.lower(instant)

    def lower(self, instant: datetime) -> None:
        """Let the next look begin at an instant at the latest, and whatever comes of those that are under way."""
        if self._low is not None:
            self._low = min(self._low, instant)
        for look in self._open:
            look.lower(instant)


def _is_within(since: datetime | None, now: datetime, duration: timedelta) -> bool:
    return since is not None and timedelta(0) <= now - since < duration


def is_held(document: Mapping[str, Any], lease: str, now: datetime) -> bool:
    """Tell whether a document's lease lasts, so that nobody may claim it yet."""
    until = _at(document, lease)
    return until is not None and not (isinstance(until, datetime) and until < now)


def instants(documents: Iterable[Mapping[str, Any]], field: str) -> list[datetime]:
    """Return the instants at a mark or lease of documents; what was put there by hand may be none."""
    return [found for document in documents if isinstance(found := _at(document, field), datetime)]


def _at(document: Mapping[str, Any], field: str) -> Any:
    section, name = field.split(".")
    return document[section].get(name)
