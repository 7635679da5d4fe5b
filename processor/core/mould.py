"""First promotions that are alike are decided once; of the others only whose, which and when is filled in.

Under the same rules all documents that begin with as many items of one waypoint, one after the other, are alike in all
but these, and most documents of a live stream begin so: with one item, or in a burst. A mould is what `begin` made of
one such append, with holes.

F1: the fold has decided it, here nothing is.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import lt
from typing import Any, Final

from bson import ObjectId
from msgspec import Struct

from processor.core.beginning import Beginning, begin
from processor.core.completions import TIMESTAMP
from processor.core.evidence import Append, Item, Key, Owner, ProgressEvent, are_distinct
from processor.core.filling import Filling, Text, copy_of
from processor.core.journey import JourneyRules
from processor.core.policy import FoldingPolicy

USES: Final = 16
"""Documents that begin alike before a mould is made for the next: it costs as much as four. Of bursts up to four times
as many: theirs costs as much as twenty to seventy, a few milliseconds."""

MOST: Final = 2_000
"""Waypoints that documents begin with of which something is remembered, up to 16 kB each, and a third of that in a
store's plates. With more, all are forgotten: where more than these come by turns, no mould is made."""

MOST_BURSTS: Final = 250
"""The same of bursts, each number of items by itself: 40 to 250 kB each, plates included."""

SEVERAL: Final = 32
"""Items of a waypoint that a document may begin with to be out of a mould; more are seldom alike."""


class Mould:
    """What all documents have in common that begin with so many items of a waypoint under these rules.

    `made` is the sample that it was taken from; the holes are where the very same objects stand in it as in `filling`.
    """

    def __init__(self, rules: JourneyRules, made: Beginning, filling: Filling) -> None:
        self.made = made
        self.filling = filling
        self._rules = rules
        self._copy = copy_of(made.document, filling.holes) or (lambda _: made.document)
        self._data = Text(made.event.data, filling) if made.event else None

    def begin(self, append: Append, items: Sequence[Item], lock_key: str, now: datetime) -> Beginning:
        """Return what `begin` makes of an append with only these items, as many as the mould is for, and ascending."""
        filling = Filling(append.progress, append.owner.ident, now, lock_key, items)
        event, finished, last = self.made.event, self.made.finished, items[-1]
        data = self._data.filled(filling) if self._data else b""
        return Beginning(
            append,
            self._rules,
            Moulded(self, filling),
            ProgressEvent(filling.progress, event.revision, now, data) if event else None,
            Key(last.timestamp, finished.order, last.statement, finished.waypoint) if finished else None,
            self.made.dropped,
        )

    def document(self, filling: Filling) -> Mapping[str, Any]:
        """Return the document with the holes filled; it shares with others what has none."""
        made: Mapping[str, Any] = self._copy(filling.holes)
        return made


class Moulded(Mapping[str, Any]):
    """A document out of a mould. It is made when it is looked into: to write it, what fills the holes is enough."""

    __slots__ = ("_made", "filling", "mould")

    def __init__(self, mould: Mould, filling: Filling) -> None:
        self.mould = mould
        self.filling = filling
        self._made: Mapping[str, Any] | None = None

    def _document(self) -> Mapping[str, Any]:
        if self._made is None:
            self._made = self.mould.document(self.filling)
        return self._made

    def __getitem__(self, key: str) -> Any:
        return self._document()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._document())

    def __len__(self) -> int:
        return len(self._document())


_Name = tuple[ObjectId, str, int]
"""Of a kind: the journey, the waypoint, and how many of its items."""


class _Kind(Struct):
    """Documents that begin alike under these rules: how many have, and their mould, once there is one."""

    rules: JourneyRules
    uses: int = 0
    mould: Mould | None = None


class Moulds:
    """`begin` under one policy: by moulds, once as many documents as `uses` says have begun alike.

    Rules are compared by identity: a journey that was saved again is another.
    """

    def __init__(self, policy: FoldingPolicy, uses: int = USES) -> None:
        self._policy = policy
        self._uses = uses
        self._alone: dict[_Name, _Kind] = {}
        self._bursts: dict[_Name, _Kind] = {}

    def begin(self, append: Append, rules: JourneyRules | None, lock_key: str, now: datetime) -> Beginning | None:
        """Promote the document that the append would make; None where it takes the usual way: see `begin`."""
        if rules is not None and len(append.items) == 1 and _is_under(append, rules):
            [(waypoint, items)] = append.items.items()
            if _is_in_order(items) and (mould := self._mould(rules, waypoint, len(items))):
                return mould.begin(append, items, lock_key, now)
        return begin(append, rules, self._policy, lock_key, now)

    def _mould(self, rules: JourneyRules, waypoint: str, count: int) -> Mould | None:
        """Count a use; return the mould, if it pays to have one."""
        kinds, most = (self._alone, MOST) if count == 1 else (self._bursts, MOST_BURSTS)
        name = rules.id, waypoint, count
        kind = kinds.get(name)
        if kind is None or kind.rules is not rules:
            if kind is None and len(kinds) >= most:
                kinds.clear()
            kind = kinds[name] = _Kind(rules)
        kind.uses += 1
        if kind.uses == 1 + (self._uses - 1) * min(count, 4):
            kind.mould = mould_of(rules, waypoint, count, self._policy)
        return kind.mould


def mould_of(rules: JourneyRules, waypoint: str, count: int, policy: FoldingPolicy) -> Mould | None:
    """Return the mould of documents that begin with so many items of this waypoint; None where there can be none.

    It is held against a second beginning, with other values, before anything is made with it. What is the same in both
    of these is the journey's: `_is_under` sees to that. Of the items the fold asks no more than which is later, or the
    same, and that they are in order says; how long they took is different in the two.
    """
    samples = _sample(rules, count, 1), _sample(rules, count, 2)
    made, other = (_begun(rules, waypoint, policy, filling) for filling in samples)
    if made is None or other is None:
        return None
    filling, others = samples
    mould = Mould(rules, made, filling)
    again = mould.begin(other.append, others.items, others.lock_key, others.now)
    return mould if again == other else None


def _begun(rules: JourneyRules, waypoint: str, policy: FoldingPolicy, filling: Filling) -> Beginning | None:
    owner = Owner(rules.track_by, filling.ident, b"")
    items = {waypoint: tuple(filling.items)}
    append = Append(filling.progress, rules.organisation, rules.id, rules.version, owner, items)
    return begin(append, rules, policy, filling.lock_key, filling.now)


def _sample(rules: JourneyRules, count: int, number: int) -> Filling:
    """Return values that stand nowhere else, and no two of them alike; of two samples the times are ordered otherwise.

    So are they apart, and so are the statements' ids: what is reckoned from them is not the same in both.
    """
    progress, persona, *statements = (ObjectId(b"mould %d %04d" % (number, place)) for place in range(2 + count))
    february = datetime(1 + number, 2, 1, tzinfo=UTC)
    statements.sort(reverse=number == 1)
    items = [Item(it, february + timedelta(days=number * place)) for place, it in enumerate(statements)]
    now = datetime(1 + number, 12 if number == 1 else 1, 1, tzinfo=UTC)
    ident = persona if rules.track_by == "persona" else {"name": f"\u2205 {number}"}
    return Filling(progress, ident, now, f"\u2205 lock {number}", items)


def _is_in_order(items: Sequence[Item]) -> bool:
    """Tell whether there are a few items, each later than the one before, and none twice."""
    if len(items) == 1:
        return True
    times = list(map(TIMESTAMP, items))
    return 1 < len(items) <= SEVERAL and all(map(lt, times, times[1:])) and are_distinct(items)


def _is_under(append: Append, rules: JourneyRules) -> bool:
    """Tell whether the rules say what the append does of its journey, as they do if nobody has saved others since."""
    return (
        append.version == rules.version
        and append.organisation == rules.organisation
        and append.journey == rules.id
        and append.owner.track_by == rules.track_by
    )
