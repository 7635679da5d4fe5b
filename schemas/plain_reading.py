"""Statement documents read from their bytes, but for those that may be deeper than a record may be."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.json import Decoder

from schemas.decoding import Absent, decoded, others
from schemas.depth import may_be_deep
from schemas.dots import may_have_dots
from schemas.plain_parts import RawStatement


class _Person(Struct, gc=False):
    id: str | UnsetType | None = field(default=UNSET, name="_id")


class Document(Struct, gc=False):
    """With anything beside these."""

    id: str = field(name="_id")
    organisation: str
    timestamp: str
    stored: str
    statement: RawStatement
    lrs_id: str | UnsetType | None = UNSET
    client: str | UnsetType | None = UNSET
    person: _Person | UnsetType | None = UNSET
    voided: bool | UnsetType | None = UNSET
    specversion: Absent | UnsetType = UNSET


_Written = str | bool | float | UnsetType | None
_Several = list[str] | UnsetType


class _KnownPerson(_Person, forbid_unknown_fields=True, gc=False):
    display: _Written = UNSET
    name: _Written = UNSET


class _KnownDocument(Document, forbid_unknown_fields=True, kw_only=True, gc=False):
    """With nothing beside these but what Learning Locker keeps there (learning-locker-behaviour.md, 3.1)."""

    person: _KnownPerson | UnsetType | None = UNSET
    personaIdentifier: _Written = UNSET
    active: _Written = UNSET
    hash: _Written = UNSET
    hasGeneratedId: _Written = UNSET
    priority: _Written = UNSET
    agents: _Several = UNSET
    relatedAgents: _Several = UNSET
    verbs: _Several = UNSET
    registrations: _Several = UNSET
    activities: _Several = UNSET
    relatedActivities: _Several = UNSET
    metadata: dict[str, _Written] | UnsetType = UNSET
    completedQueues: _Several = UNSET
    processingQueues: _Several = UNSET
    completedForwardingQueue: _Several = UNSET
    pendingForwardingQueue: _Several = UNSET
    deadForwardingQueue: _Several = UNSET


def read_documents(values: Sequence[bytes]) -> Iterator[tuple[Sequence[int], Sequence[Document]]]:
    """Yield the documents, with the positions of their values, but for those that may be deep.

    In a known document nothing is passed over unread, so its types bound its depth. Of any other the bytes have to
    tell, and whether a key is escaped. Most streams are all of one kind: the first value tells which is tried first.
    """
    left: Sequence[int] = range(len(values))
    for read_one, fitting in _WAYS if decoded(_read_known, values[:1])[0] else reversed(_WAYS):
        places = fitting(left, values)
        read, failed = decoded(read_one, values if len(places) == len(values) else [values[place] for place in places])
        found = [places[it] for it in others(failed, len(places))] if failed else places
        yield found, read
        if len(found) == len(left):
            break
        there = set(found)
        left = [place for place in left if place not in there]


def _usual(places: Sequence[int], values: Sequence[bytes]) -> Sequence[int]:
    """Return the places of values that are not deep, and whose keys are as they are written."""
    there = [values[place] for place in places]
    if not any(map(may_be_deep, there)) and not may_have_dots(b" ".join(there)):
        return places
    return [it for it, value in zip(places, there, strict=True) if not (may_be_deep(value) or may_have_dots(value))]


_read_any: Final = Decoder(Document).decode
_read_known: Final = Decoder(_KnownDocument).decode
_Fitting = Callable[[Sequence[int], Sequence[bytes]], Sequence[int]]
_WAYS: Final[Sequence[tuple[Callable[[bytes], Document], _Fitting]]] = (
    (_read_known, lambda places, _: places),
    (_read_any, _usual),
)
"""How to read a document, and which of some places it is for."""
