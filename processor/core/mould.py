"""First promotions that are alike are decided once; of the others only whose, which and when is filled in.

Under the same rules all documents that begin with one item of a waypoint are alike in all but these, and most documents
of a live stream begin so. A mould is what `begin` made of one such append, with holes.

F1: the fold has decided it, here nothing is.
"""

import re
from binascii import hexlify
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, Final, NamedTuple

from bson import ObjectId
from msgspec import Struct

from processor.core.beginning import Beginning, begin
from processor.core.evidence import Append, Item, Key, Owner, ProgressEvent
from processor.core.journey import JourneyRules
from processor.core.policy import FoldingPolicy
from schemas.rendering import to_json

USES: Final = 16
"""Documents that begin alike before a mould is made for the next: it costs as much as four."""

MOST: Final = 2_000
"""Waypoints that documents begin with of which something is remembered, up to 16 kB each, and twice that in a store's
plates. With more, all are forgotten: where more than these come by turns, no mould is made."""


class Filling(NamedTuple):
    """What fills the holes; `ident` is the owner's."""

    progress: ObjectId
    ident: Any
    statement: ObjectId
    timestamp: datetime
    now: datetime
    lock_key: str


Copy = Callable[[Filling], Any]
"""Makes a copy of something, with the holes filled; it shares what has no holes in it."""


class Mould:
    """What all documents have in common that begin with one item of a waypoint under these rules.

    `made` is the sample that it was taken from; the `holes` are where the very same objects stand in it.
    """

    def __init__(self, rules: JourneyRules, made: Beginning, holes: Filling) -> None:
        self.made = made
        self.holes = holes
        self._rules = rules
        self._copy = _copy_of(made.document, holes) or (lambda _: made.document)
        self._data = _Text(made.event.data, holes) if made.event else None

    def begin(self, append: Append, item: Item, lock_key: str, now: datetime) -> Beginning:
        """Return what `begin` makes of an append whose only item is this one, of the mould's waypoint."""
        filling = Filling(append.progress, append.owner.ident, item.statement, item.timestamp, now, lock_key)
        event, finished = self.made.event, self.made.finished
        data = self._data.filled(filling) if self._data else b""
        return Beginning(
            append,
            self._rules,
            Moulded(self, filling),
            ProgressEvent(filling.progress, event.revision, now, data) if event else None,
            Key(item.timestamp, finished.order, item.statement, finished.waypoint) if finished else None,
            self.made.dropped,
        )

    def document(self, filling: Filling) -> Mapping[str, Any]:
        """Return the document with the holes filled; it shares with others what has none."""
        made: Mapping[str, Any] = self._copy(filling)
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


class _Kind(Struct):
    """Documents that begin with a waypoint under these rules: how many have, and their mould, once there is one."""

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
        self._kinds: dict[tuple[ObjectId, str], _Kind] = {}

    def begin(self, append: Append, rules: JourneyRules | None, lock_key: str, now: datetime) -> Beginning | None:
        """Promote the document that the append would make; None where it takes the usual way: see `begin`."""
        if rules is not None and _is_single(append) and _is_under(append, rules):
            [(waypoint, [item])] = append.items.items()
            mould = self._mould(rules, waypoint)
            if mould:
                return mould.begin(append, item, lock_key, now)
        return begin(append, rules, self._policy, lock_key, now)

    def _mould(self, rules: JourneyRules, waypoint: str) -> Mould | None:
        """Count a use; return the mould, if it pays to have one."""
        key = rules.id, waypoint
        kind = self._kinds.get(key)
        if kind is None or kind.rules is not rules:
            if kind is None and len(self._kinds) >= MOST:
                self._kinds.clear()
            kind = self._kinds[key] = _Kind(rules)
        kind.uses += 1
        if kind.uses == self._uses:
            kind.mould = mould_of(rules, waypoint, self._policy)
        return kind.mould


def mould_of(rules: JourneyRules, waypoint: str, policy: FoldingPolicy) -> Mould | None:
    """Return the mould of documents that begin with one item of this waypoint; None where they take the usual way.

    It is held against a second beginning, with other values, before anything is made with it. What is the same in both
    of these is the journey's: `_is_under` sees to that.
    """
    holes, others = _sample(rules, 1), _sample(rules, 2)
    made, other = (_begun(rules, waypoint, policy, filling) for filling in (holes, others))
    if made is None or other is None:
        return None
    mould = Mould(rules, made, holes)
    again = mould.begin(other.append, Item(others.statement, others.timestamp), others.lock_key, others.now)
    return mould if again == other else None


def _begun(rules: JourneyRules, waypoint: str, policy: FoldingPolicy, filling: Filling) -> Beginning | None:
    owner = Owner(rules.track_by, filling.ident, b"")
    items = {waypoint: (Item(filling.statement, filling.timestamp),)}
    append = Append(filling.progress, rules.organisation, rules.id, rules.version, owner, items)
    return begin(append, rules, policy, filling.lock_key, filling.now)


def _sample(rules: JourneyRules, number: int) -> Filling:
    """Return values that stand nowhere else, and no two of them alike."""
    progress, statement, persona = (ObjectId(b"mould %d %d..." % (number, place)) for place in range(3))
    times = [datetime(1 + number, 1, day, tzinfo=UTC) for day in (1, 2)]
    timestamp, now = times if number == 1 else reversed(times)
    ident = persona if rules.track_by == "persona" else {"name": f"\u2205 {number}"}
    return Filling(progress, ident, statement, timestamp, now, lock_key=f"\u2205 lock {number}")


def _is_single(append: Append) -> bool:
    return len(append.items) == 1 and all(len(items) == 1 for items in append.items.values())


def _is_under(append: Append, rules: JourneyRules) -> bool:
    """Tell whether the rules say what the append does of its journey, as they do if nobody has saved others since."""
    return (
        append.version == rules.version
        and append.organisation == rules.organisation
        and append.journey == rules.id
        and append.owner.track_by == rules.track_by
    )


def _copy_of(value: Any, holes: Filling) -> Copy | None:
    """Return what copies a value, None if there are no holes in it.

    A hole is where the very same object stands: an equal one that came from elsewhere is none.
    """
    for place, hole in enumerate(holes):
        if value is hole:
            return itemgetter(place)
    if not isinstance(value, dict | list):
        return None
    children = value.items() if isinstance(value, dict) else enumerate(value)
    copies = [(key, copy) for key, child in children if (copy := _copy_of(child, holes))]
    if not copies:
        return None

    def copied(filling: Filling) -> Any:
        made = value.copy()
        for key, copy in copies:
            made[key] = copy(filling)
        return made

    return copied


class _Text:
    """JSON with holes in it."""

    def __init__(self, data: bytes, holes: Filling) -> None:
        written = [to_json(hole) for hole in holes]
        cut = re.split(b"(%s)" % b"|".join(map(re.escape, written)), data)
        found = [written.index(hole) for hole in cut[1::2]]
        places = sorted(set(found))
        self._fillers = [(place, _FILLERS.get(Filling._fields[place], to_json)) for place in places]
        self._pieces = [*cut[::2], b""]
        # What fills the holes comes first, then the pieces between, and nothing, as there may be but one; in this order
        # they are the text.
        numbers = range(len(places), len(places) + len(self._pieces))
        between = chain.from_iterable(zip(numbers, map(places.index, found), strict=False))
        self._in_order = itemgetter(*between, *numbers[-2:])

    def filled(self, filling: Filling) -> bytes:
        """Return the text with the holes filled."""
        return b"".join(self._in_order([fill(filling[place]) for place, fill in self._fillers] + self._pieces))


def _id_text(value: ObjectId) -> bytes:
    return b'"%s"' % hexlify(value.binary)


_FILLERS: Final[Mapping[str, Callable[[Any], bytes]]] = {
    "progress": _id_text,
    "statement": _id_text,
    "now": lru_cache(maxsize=8)(to_json),
    "lock_key": lru_cache(maxsize=8)(to_json),
}
"""What is quicker than `to_json` for some: all that is written together has one `now` and one lock."""
