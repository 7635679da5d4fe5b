"""A quick yes: statements of the usual kind, of which it is plain that the full model takes them.

Nearly all that match are agents who did something with an activity. To see that costs a quarter of what the model
(schemas/statement.py) does, and from the bytes, where verbs, activities and contexts come again and again, a tenth;
whatever is not plainly so is for the model to judge.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import compress
from operator import attrgetter
from typing import Any, Final, TypeVar

import orjson
from msgspec import UNSET, MsgspecError, Struct, UnsetType, convert, field
from msgspec.json import Decoder

from schemas.decoding import Absent, decoded, others
from schemas.depth import may_be_deep
from schemas.dots import may_have_dots
from schemas.plain_parts import Activity, Agent, Around, Judged, RawStatement, Statement, Verb, all_hold

REMEMBERED: Final = 1024
"""Parts of each kind of which it is remembered what they say."""

SHORT: Final = 1024
"""Bytes that a part may have that is remembered."""

Known = TypeVar("Known", bound=Judged)
Told = TypeVar("Told")


class _Person(Struct, gc=False):
    id: str | UnsetType | None = field(default=UNSET, name="_id")


class _Document(Struct, gc=False):
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


class _KnownDocument(_Document, forbid_unknown_fields=True, kw_only=True, gc=False):
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


class PlainDocument(Struct, gc=False):
    """What a statement document with a plain statement says; ids and times are as written, None where there is none.

    `actor` may be shared with other statements of the same actor: to be read only. `written_actor` is its JSON.
    """

    id: str
    organisation: str
    lrs_id: str | None
    client: str | None
    timestamp: str
    stored: str
    persona: str | None
    actor: Mapping[str, Any]
    written_actor: bytes
    verb: str
    activity: str
    activity_type: str | None


def is_plain(statement: Mapping[str, Any]) -> bool:
    """Tell whether a decoded statement (plain dots in its keys) is one that the full model takes without a doubt.

    Decoded from JSON or from BSON. False says nothing about it.
    """
    try:
        plain = convert(statement, Statement)
        contexts = (plain.context,) if plain.context else ()
        around = [it.contextActivities for it in contexts]
        parts: list[Judged | UnsetType] = [plain.actor, plain.verb, plain.object, plain.authority, *around]
        return all(part.holds() for part in parts if part is not UNSET) and all_hold((plain,), contexts)
    except (MsgspecError, TypeError, ValueError):  # what BSON has besides JSON: code for a text, say
        return False


def plain_documents(values: Sequence[bytes]) -> list[PlainDocument | None]:
    """Read statement documents: of each what it says, if its statement is plain and it is not voided.

    Such a statement passes the structural check of a record, and the document is not too deep. None says nothing about
    it. The bytes are UTF-8. Ids, times, and what stands beside the statement are for others to judge.
    """
    plain: list[PlainDocument | None] = [None] * len(values)
    for places, read in _read(values):
        for place, document in zip(places, _plain(read), strict=True):
            plain[place] = document
    return plain


def _read(values: Sequence[bytes]) -> Iterator[tuple[Sequence[int], Sequence[_Document]]]:
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


def _plain(read: Sequence[_Document]) -> list[PlainDocument | None]:
    """What is asked of each is asked of all at once, so that most loops run in C."""
    statements = list(map(_STATEMENT, read))
    written = [bytes(it.actor) for it in statements]
    around = [bytes((it.context and it.context.contextActivities) or b"{}") for it in statements]
    told = list(
        zip(
            _actors(written),
            _verbs([bytes(it.verb) for it in statements]),
            _activities([bytes(it.object) for it in statements]),
            _are_around(around),
            strict=True,
        )
    )
    are_plain = [all(it) and not document.voided for it, document in zip(told, read, strict=True)]
    if not _all_hold(list(compress(statements, are_plain))):
        are_plain = [it and _all_hold([statement]) for it, statement in zip(are_plain, statements, strict=True)]
    return [
        PlainDocument(  # by position, which takes two thirds of what names do
            document.id,
            document.organisation,
            None if document.lrs_id is UNSET else document.lrs_id,
            None if document.client is UNSET else document.client,
            document.timestamp,
            document.stored,
            _known(document.person.id) if document.person else None,
            actor,
            by,
            verb,
            activity[0],
            activity[1],
        )
        if is_plain and actor and verb and activity
        else None
        for is_plain, document, by, (actor, verb, activity, _) in zip(are_plain, read, written, told, strict=True)
    ]


def _all_hold(statements: Sequence[RawStatement]) -> bool:
    """Tell whether statements hold, but for what is asked of each before."""
    authorities = [bytes(it.authority) for it in statements if it.authority]
    contexts = [it.context for it in statements if it.context]
    return all(_actors(authorities)) and all_hold(statements, contexts)


def _known(value: str | UnsetType | None) -> str | None:
    return None if value is UNSET else value


def _remembered(
    kind: type[Known], told: Callable[[bytes, Known], Told]
) -> Callable[[Sequence[bytes]], list[Told | None]]:
    """Return what tells something of the JSON of each of some parts, None of others; at once where it did before."""
    read = Decoder(kind).decode

    def judged(value: bytes) -> Told | None:
        try:
            part = read(value)
            return told(value, part) if part.holds() else None
        except (MsgspecError, ValueError, RecursionError):
            return None

    known = lru_cache(REMEMBERED)(judged)

    def all_judged(values: Sequence[bytes]) -> list[Told | None]:
        if max(map(len, values), default=0) <= SHORT:
            return list(map(known, values))
        return [known(value) if len(value) <= SHORT else judged(value) for value in values]

    return all_judged


def _told_activity(_: bytes, activity: Activity) -> tuple[str, str | None]:
    return activity.id, _known(activity.definition.type) if activity.definition else None


def _told_actor(value: bytes, _: Agent) -> dict[str, Any]:
    told: dict[str, Any] = orjson.loads(value)
    return told


_read_any: Final = Decoder(_Document).decode
_read_known: Final = Decoder(_KnownDocument).decode
_Fitting = Callable[[Sequence[int], Sequence[bytes]], Sequence[int]]
_WAYS: Final[Sequence[tuple[Callable[[bytes], _Document], _Fitting]]] = (
    (_read_known, lambda places, _: places),
    (_read_any, _usual),
)
"""How to read a document, and which of some places it is for."""

_verbs: Final = _remembered(Verb, lambda _, verb: verb.id)
_activities: Final = _remembered(Activity, _told_activity)
_actors: Final = _remembered(Agent, _told_actor)
_are_around: Final = _remembered(Around, lambda *_: True)
_STATEMENT: Final[Callable[[_Document], RawStatement]] = attrgetter("statement")
