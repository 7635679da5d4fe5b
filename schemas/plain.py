"""A quick yes: statements of the usual kind, of which it is plain that the full model takes them.

Nearly all that match are agents who did something with an activity. To see that costs a quarter of what the model
(schemas/statement.py) does, and from the bytes, where verbs, activities and contexts come again and again, a tenth;
whatever is not plainly so is for the model to judge.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import compress
from operator import attrgetter
from typing import Any, Final, TypeVar

import orjson
from msgspec import UNSET, MsgspecError, Struct, UnsetType, convert, field
from msgspec.json import Decoder

from schemas.plain_parts import Activity, Agent, Around, Part, RawStatement, Statement, Verb, are_usual

REMEMBERED: Final = 1024
"""Parts of each kind of which it is remembered what they say."""

SHORT: Final = 1024
"""Bytes that a part may have that is remembered."""

Known = TypeVar("Known", bound=Part)
Told = TypeVar("Told")
Read = TypeVar("Read")


class _Person(Struct, gc=False):
    id: str | UnsetType | None = field(default=UNSET, name="_id")


class _Document(Struct, gc=False):
    id: str = field(name="_id")
    timestamp: str
    stored: str
    statement: RawStatement
    lrs_id: str | UnsetType | None = UNSET
    person: _Person | UnsetType | None = UNSET
    voided: bool | UnsetType | None = UNSET


class PlainDocument(Struct, gc=False):
    """What a statement document with a plain statement says; ids and times are as written, None where there is none.

    `actor` may be shared with other statements of the same actor: to be read only. `written_actor` is its JSON.
    """

    id: str
    timestamp: str
    stored: str
    store: str | None
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
        parts = (plain.actor, plain.verb, plain.object, plain.authority, *around)
        return all(part.holds() for part in parts if part) and are_usual((plain,), contexts)
    except (MsgspecError, TypeError, ValueError):  # what BSON has besides JSON: code for a text, say
        return False


def plain_documents(values: Sequence[bytes]) -> list[PlainDocument | None]:
    """Read statement documents: of each what it says, if its statement is plain and it is not voided.

    None says nothing about it. The bytes are UTF-8 JSON without escaped dots in keys. Ids, times, and what stands
    beside the statement are for others to judge.
    """
    read, failed = decoded(_read, values)
    plain = _plain(read)
    for position in failed:  # ascending
        plain.insert(position, None)
    return plain


def decoded(decode: Callable[[Any], Read], values: Sequence[Any]) -> tuple[list[Read], list[int]]:
    """Return what could be decoded of the values, and the positions of the others, ascending."""
    found: list[Read] = []
    failed: list[int] = []
    some = map(decode, values)
    while len(found) + len(failed) < len(values):
        try:
            found.extend(some)  # as far as the next that fails
        except (MsgspecError, ValueError, TypeError, RecursionError):
            failed.append(len(found) + len(failed))
    return found, failed


def _plain(read: Sequence[_Document]) -> list[PlainDocument | None]:
    """What is asked of each is asked of all at once, so that most loops run in C."""
    statements = list(map(_STATEMENT, read))
    written = [bytes(it.actor) for it in statements]
    actors, verbs = _actors(written), _verbs([bytes(it.verb) for it in statements])
    activities = _activities([bytes(it.object) for it in statements])
    told = [all(it) for it in zip(actors, verbs, activities, strict=True)]
    some = list(compress(read, told))
    if not _all_hold(some):
        told = [it and _all_hold([document]) for it, document in zip(told, read, strict=True)]
    return [
        PlainDocument(
            id=document.id,
            timestamp=document.timestamp,
            stored=document.stored,
            store=_known(document.lrs_id),
            persona=_known(document.person.id) if document.person else None,
            actor=actor,
            written_actor=by,
            verb=verb,
            activity=activity[0],
            activity_type=activity[1],
        )
        if is_told and actor and verb and activity
        else None
        for is_told, document, actor, by, verb, activity in zip(
            told, read, actors, written, verbs, activities, strict=True
        )
    ]


def _all_hold(documents: Sequence[_Document]) -> bool:
    """Tell whether the statements hold, but for their actors, verbs and objects, and none of them is voided."""
    statements = list(map(_STATEMENT, documents))
    contexts = [it.context for it in statements if it.context]
    around = [bytes(it.contextActivities) for it in contexts if it.contextActivities]
    authorities = [bytes(it.authority) for it in statements if it.authority]
    return (
        not any(map(_VOIDED, documents))
        and all(_are_around(around))
        and all(_actors(authorities))
        and are_usual(statements, contexts)
    )


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
        except (MsgspecError, ValueError, RecursionError):
            return None
        return told(value, part) if part.holds() else None

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


_read: Final = Decoder(_Document).decode
_verbs: Final = _remembered(Verb, lambda _, verb: verb.id)
_activities: Final = _remembered(Activity, _told_activity)
_actors: Final = _remembered(Agent, _told_actor)
_are_around: Final = _remembered(Around, lambda *_: True)
_STATEMENT: Final[Callable[[_Document], RawStatement]] = attrgetter("statement")
_VOIDED: Final = attrgetter("voided")
