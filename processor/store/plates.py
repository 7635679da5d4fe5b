"""First promotions out of one mould, printed as BSON: what they have in common is written down once.

A plate is what is inserted for the mould's sample, as bytes with holes. To copy a document of some fifty fields, to add
its outbox and to encode it all takes twice as long as to join some thirty pieces.

F1: here nothing is decided; what is printed is what would have been inserted, to the byte.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from struct import Struct
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import structlog
from bson import ObjectId, encode
from bson.raw_bson import RawBSONDocument

from processor.core.beginning import Beginning
from processor.core.completions import TIMESTAMP
from processor.core.evidence import ProgressEvent
from processor.core.filling import ID
from processor.core.mould import SEVERAL, Mould, Moulded
from processor.core.relaying import is_handy
from processor.ports.progress import RelayLease
from processor.store.outbox import handed
from processor.store.updates import begun_document

SIZES: Final = 64
"""Combinations of sizes of which a plate remembers the lengths that stand in the document, half a kilobyte each."""

_LENGTH: Final = Struct("<i")
_BINARY: Final = Struct("<ix")
"""What comes before bytes: how many, and that they are nothing special."""
_TIME: Final = 8
_ENDS: Final = b"\0\0"
"""Of an array, and of the document whose last value it is."""


class Plates:
    """Of one store; a plate goes with its mould."""

    def __init__(self) -> None:
        self._plates: WeakKeyDictionary[Mould, Plate | None] = WeakKeyDictionary()

    def begun(
        self, beginnings: Sequence[Beginning], lease: RelayLease | None, now: datetime
    ) -> list[dict[str, Any] | RawBSONDocument]:
        """Return what `begun_document` does of each, as bytes where there is a plate."""
        if lease is None:
            return [begun_document(it, lease, now) for it in beginnings]
        run = _Run(lease)
        return [
            run.printed(plate, it.document, it.event)
            if it.event
            and isinstance(it.document, Moulded)
            and is_handy(it.event)
            and (plate := self._plate(it, it.document.mould, lease, now))
            else begun_document(it, lease, now)
            for it in beginnings
        ]

    def _plate(self, beginning: Beginning, mould: Mould, lease: RelayLease, now: datetime) -> "Plate | None":
        """Return the mould's plate; none if the first document that comes off it is not what it has to be."""
        try:
            return self._plates[mould]
        except KeyError:
            pass
        plate = plate_of(mould, lease, now)
        assert isinstance(beginning.document, Moulded)
        assert beginning.event
        if plate:
            printed = _Run(lease).printed(plate, beginning.document, beginning.event)
            if printed.raw != encode(begun_document(beginning, lease, now)):
                structlog.get_logger(__name__).warning("a plate is thrown away", journey=str(beginning.append.journey))
                plate = None
        self._plates[mould] = plate
        return plate


def plate_of(mould: Mould, lease: RelayLease, now: datetime) -> "Plate | None":
    """Make a plate of the document that the mould's sample would be inserted as; none if it is not handed over."""
    document, event = begun_document(mould.made, lease, now), mould.made.event
    mark = document["processing"].get("handed")
    return Plate(document, (*mould.filling.holes, event.data, mark)) if event and mark else None


class _Run:
    """What is printed for one write: what is the same in all of it is encoded once."""

    def __init__(self, lease: RelayLease) -> None:
        self._lease = lease
        self._marks: dict[int, bytes] = {}
        self._same: tuple[Any, Any] = (None, None)
        self._encoded = b"", b""

    def printed(self, plate: "Plate", document: Moulded, event: ProgressEvent) -> RawBSONDocument:
        """Return a document with its outbox, handed over."""
        progress, ident, now, lock_key, items = document.filling
        if self._same[0] is not now or self._same[1] is not lock_key:
            self._same, self._encoded = (now, lock_key), (_value(now), _value(lock_key))
        mark = self._marks.get(event.revision)
        if mark is None:
            mark = self._marks[event.revision] = encode(handed(self._lease, event))
        differs = encode({"": ident, "t": list(map(TIMESTAMP, items))})  # for one call instead of many
        size, places = _times(len(items))
        data = event.data
        return RawBSONDocument(
            plate.printed(
                [
                    progress.binary,
                    differs[6:-size],
                    *self._encoded,
                    *map(ID, items),
                    *[differs[place : place + _TIME] for place in places],
                    _BINARY.pack(len(data)) + data,
                    mark,
                ]
            )
        )


@lru_cache(SEVERAL)
def _times(count: int) -> tuple[int, Sequence[int]]:
    """Return how `{…, "t": [timestamp, …]}` ends: how many bytes before the end "t" and each timestamp begin."""
    place, places = -len(_ENDS), list[int]()
    for number in reversed(range(count)):
        place -= _TIME
        places.insert(0, place)
        place -= len(b"\x09%d\0" % number)
    return len(b"\x04t\0") + _LENGTH.size - place, places


class Plate:
    """BSON with holes: where the very same object stands in the sample, another value of its type goes."""

    def __init__(self, sample: Mapping[str, Any], holes: Sequence[Any]) -> None:
        fixed = {place: len(_value(hole)) for place, hole in enumerate(holes) if isinstance(hole, ObjectId | datetime)}
        parts = _parts(sample, holes, fixed)
        lengths = [it for it in parts if isinstance(it, _Length)]
        self._sized = sorted({place for it in lengths for place in it.places})
        self._lengths = [(it.size, [self._sized.index(place) for place in it.places]) for it in lengths]
        self._known: dict[tuple[int, ...], list[bytes]] = {}
        self._pieces = [it for it in parts if isinstance(it, bytes)]
        # The values come first, then the lengths, then the pieces; in this order they are the document.
        behind, last = len(holes), len(holes) + len(lengths)
        number_of_length, number_of_piece = iter(range(behind, last)), iter(range(last, last + len(self._pieces)))
        order = [
            it if isinstance(it, int) else next(number_of_length if isinstance(it, _Length) else number_of_piece)
            for it in parts
        ]
        self._in_order = itemgetter(*order)

    def printed(self, values: list[bytes]) -> bytes:
        """Return the document with these values, one for each hole, as BSON writes them."""
        sizes = tuple([len(values[place]) for place in self._sized])
        lengths = self._known.get(sizes)
        if lengths is None:
            if len(self._known) >= SIZES:
                self._known.clear()
            lengths = [_LENGTH.pack(size + sum(sizes[it] for it in those)) for size, those in self._lengths]
            self._known[sizes] = lengths
        return b"".join(self._in_order(values + lengths + self._pieces))


class _Length(NamedTuple):
    """Where the length of a document is written that has holes of no fixed size: theirs come to `size`."""

    size: int
    places: Sequence[int]


_Part = bytes | int | _Length
"""A piece, the number of a hole, or a length."""


def _parts(value: Mapping[str, Any] | Sequence[Any], holes: Sequence[Any], fixed: Mapping[int, int]) -> Sequence[_Part]:
    """Cut a document where the holes are; `fixed` are the sizes of those that have one."""
    inside: list[_Part] = []
    items = value.items() if isinstance(value, Mapping) else ((str(number), it) for number, it in enumerate(value))
    for key, child in items:
        element = encode({key: child})[4:-1]
        place = next((number for number, hole in enumerate(holes) if child is hole), None)
        name = element[: len(element) - len(_value(child))]
        own = _parts(child, holes, fixed) if isinstance(child, dict | list) and place is None else ()
        if place is not None:
            inside += [name, place]
        elif any(isinstance(it, int) for it in own):
            inside += [name, *own]
        else:
            inside.append(element)
    inside.append(b"\0")
    places = [it for it in inside if isinstance(it, int)]
    pieces = sum(len(it) for it in inside if isinstance(it, bytes))
    lengths = 1 + sum(isinstance(it, _Length) for it in inside)
    size = pieces + lengths * _LENGTH.size + sum(fixed.get(place, 0) for place in places)
    others = [place for place in places if place not in fixed]
    return [_Length(size, others) if others else _LENGTH.pack(size), *inside]


def _value(value: Any) -> bytes:
    """Return a value as it stands in BSON, behind its type and its name."""
    return encode({"": value})[6:-1]
