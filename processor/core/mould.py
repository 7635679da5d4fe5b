"""First promotions that are alike are decided once; of the others only whose, which and when is filled in.

Under the same rules all documents that begin with one item of a waypoint are alike in all but these, and most documents
of a live stream begin so. A mould is what `begin` made of one such append, with holes: the fold has decided it, here
nothing is decided.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Final

from bson import ObjectId
from msgspec import Struct

from processor.core.beginning import Beginning, begin
from processor.core.evidence import Append, Item, Key, Owner, ProgressEvent
from processor.core.journey import JourneyRules
from processor.core.policy import FoldingPolicy
from schemas.rendering import to_json

USES: Final = 16
"""Documents that begin alike before it pays to make a mould."""

MOST: Final = 2_000
"""Kinds of documents that are remembered, with some 7 kB each; with more of them all are forgotten."""

Filling = tuple[ObjectId, Any, ObjectId, datetime, datetime, str]
"""What fills the holes: progress, the owner's `ident`, statement, its timestamp, now, lock key."""

Fill = Callable[[Filling], Any]


class Mould:
    """What all documents have in common that begin with one item of this waypoint under these rules."""

    def __init__(self, rules: JourneyRules, waypoint: str, made: Beginning, holes: Filling) -> None:
        self._rules = rules
        self._waypoint = waypoint
        self._made = made
        self._document = _filling_in(made.document, holes)
        self._data = _cut(made.event.data, holes) if made.event else None

    def begin(self, append: Append, item: Item, lock_key: str, now: datetime) -> Beginning:
        """Return what `begin` would make of an append whose only item is this one, of the mould's waypoint."""
        made = self._made
        filling = (append.progress, append.owner.ident, item.statement, item.timestamp, now, lock_key)
        event, finished = made.event, made.finished
        if event and self._data:
            event = ProgressEvent(append.progress, event.revision, now, _joined(self._data, filling), event.replay)
        if finished:
            finished = Key(item.timestamp, finished.order, item.statement, finished.waypoint)
        return Beginning(append, self._rules, self._document(filling), event, finished, made.dropped)


class _Kind(Struct):
    """Documents that begin alike: how many have, and their mould, once there is one."""

    rules: JourneyRules
    uses: int = 0
    mould: Mould | None = None


class Moulds:
    """`begin` under one policy. Rules are compared by identity: a journey that was saved again is another.

    A mould costs as much as four beginnings: it is made when as many documents as `uses` says have begun alike.
    """

    def __init__(self, policy: FoldingPolicy, uses: int = USES) -> None:
        self._policy = policy
        self._uses = uses
        self._kinds: dict[tuple[int, str], _Kind] = {}

    def begin(self, append: Append, rules: JourneyRules | None, lock_key: str, now: datetime) -> Beginning | None:
        """Promote the document that the append would make; None where it takes the usual way: see `begin`."""
        only = _only_item(append)
        if rules is None or only is None or rules.version != append.version or rules.track_by != append.owner.track_by:
            return begin(append, rules, self._policy, lock_key, now)
        waypoint, item = only
        kind = self._kind(rules, waypoint)
        kind.uses += 1
        if kind.uses == self._uses:
            kind.mould = mould_of(rules, waypoint, self._policy)
        if kind.mould is None:
            return begin(append, rules, self._policy, lock_key, now)
        return kind.mould.begin(append, item, lock_key, now)

    def _kind(self, rules: JourneyRules, waypoint: str) -> _Kind:
        key = id(rules), waypoint
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= MOST:
                self._kinds.clear()
            kind = self._kinds[key] = _Kind(rules)
        return kind


def mould_of(rules: JourneyRules, waypoint: str, policy: FoldingPolicy) -> Mould | None:
    """Return the mould of documents that begin with one item of this waypoint; None where there is none to make.

    It is held against a second beginning, with other values, before anything is made with it.
    """
    holes, others = _sample(rules, 1), _sample(rules, 2)
    made, other = (_begun(rules, waypoint, policy, it) for it in (holes, others))
    if made is None or other is None:
        return None
    mould = Mould(rules, waypoint, made, holes)
    _, _, statement, timestamp, now, lock_key = others
    return mould if mould.begin(other.append, Item(statement, timestamp), lock_key, now) == other else None


def _begun(rules: JourneyRules, waypoint: str, policy: FoldingPolicy, filling: Filling) -> Beginning | None:
    progress, ident, statement, timestamp, now, lock_key = filling
    owner, items = Owner(rules.track_by, ident, b""), {waypoint: (Item(statement, timestamp),)}
    append = Append(progress, rules.organisation, rules.id, rules.version, owner, items)
    return begin(append, rules, policy, lock_key, now)


def _sample(rules: JourneyRules, number: int) -> Filling:
    """Return values that stand nowhere else, and not one for two things."""
    ids = [ObjectId(b"\xff%c%c........." % (number, place)) for place in range(3)]
    ident = ids[2] if rules.track_by == "persona" else {"name": f"\u2205 {number}"}
    times = [datetime(1 + number, 1, day, tzinfo=UTC) for day in (1, 2)]
    return ids[0], ident, ids[1], times[0], times[1], f"\u2205 lock {number}"


def _only_item(append: Append) -> tuple[str, Item] | None:
    """Return the waypoint and the item of an append that has no more."""
    if len(append.items) > 1 or append.replay is not None:
        return None
    for waypoint, items in append.items.items():
        if len(items) == 1:
            return waypoint, items[0]
    return None


def _filling_in(value: Any, holes: Sequence[Any]) -> Fill:
    """Return what makes copies of a value with other things where the `holes` are; it shares what has none in it."""
    return _varying(value, holes) or (lambda _: value)


def _varying(value: Any, holes: Sequence[Any]) -> Fill | None:
    """Return the same; None where there are no holes."""
    for place, hole in enumerate(holes):
        if value is hole:
            return itemgetter(place)
    if not isinstance(value, dict | list):
        return None
    children = value.items() if isinstance(value, dict) else enumerate(value)
    varying = [(key, fill) for key, child in children if (fill := _varying(child, holes))]
    if not varying:
        return None

    def filled(filling: Filling) -> Any:
        copy = value.copy()
        for key, fill in varying:
            copy[key] = fill(filling)
        return copy

    return filled


def _cut(data: bytes, holes: Sequence[Any]) -> Sequence[tuple[bytes, int]]:
    """Cut JSON where the holes are: each piece with the place of what comes after it, -1 after the last."""
    places = {to_json(hole): place for place, hole in enumerate(holes)}
    cut = re.split(b"(%s)" % b"|".join(map(re.escape, places)), data)
    return [(piece, places.get(after, -1)) for piece, after in zip(cut[::2], [*cut[1::2], b""], strict=True)]


def _joined(pieces: Sequence[tuple[bytes, int]], filling: Filling) -> bytes:
    texts = [*map(to_json, filling), b""]
    return b"".join([part for piece, place in pieces for part in (piece, texts[place])])
