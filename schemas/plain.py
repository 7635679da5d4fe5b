"""A quick yes: statements of the usual kind, of which it is plain that the full model takes them.

Nearly all that match are agents who did something with an activity. To see that costs a quarter of what the model
(schemas/statement.py) does, and from the bytes, where verbs, activities and contexts come again and again, a tenth;
whatever is not plainly so is for the model to judge.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import compress
from typing import Any, Final, TypeVar

import orjson
from msgspec import UNSET, MsgspecError, Struct, UnsetType, convert
from msgspec.json import Decoder

from schemas.plain_parts import Activity, Agent, Around, Judged, RawStatement, Statement, Verb, all_hold
from schemas.plain_reading import Document, read_documents

REMEMBERED: Final = 1024
"""Parts of each kind of which it is remembered what they say."""

SHORT: Final = 1024
"""Bytes that a part may have that is remembered."""

Known = TypeVar("Known", bound=Judged)
Told = TypeVar("Told")


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
    except (MsgspecError, TypeError, ValueError):  # what BSON has besides JSON
        return False


def plain_documents(values: Sequence[bytes]) -> list[PlainDocument | None]:
    """Read statement documents: of each what it says, if its statement is plain and it is not voided.

    Such a statement passes the structural check of a record, and the document is not too deep. None says nothing about
    it. The bytes are UTF-8. Ids, times, and what stands beside the statement are for others to judge.
    """
    plain: list[PlainDocument | None] = [None] * len(values)
    for places, read in read_documents(values):
        for place, document in zip(places, _plain(read), strict=True):
            plain[place] = document
    return plain


def _plain(read: Sequence[Document]) -> list[PlainDocument | None]:
    """What is asked of each is asked of all at once, so that most loops run in C."""
    statements = [it.statement for it in read]
    written = [bytes(it.actor) for it in statements]
    actors, verbs = _actors(written), _verbs([bytes(it.verb) for it in statements])
    activities = _activities([bytes(it.object) for it in statements])
    around = _are_around([bytes((it.context and it.context.contextActivities) or b"{}") for it in statements])
    are_plain = [not document.voided for document in read]
    told: Sequence[Sequence[object]] = (are_plain, actors, verbs, activities, around)
    if not all(map(all, told)):
        are_plain = list(map(all, zip(*told, strict=True)))
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
        for is_plain, document, by, actor, verb, activity in zip(
            are_plain, read, written, actors, verbs, activities, strict=True
        )
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


_verbs: Final = _remembered(Verb, lambda _, verb: verb.id)
_activities: Final = _remembered(Activity, _told_activity)
_actors: Final = _remembered(Agent, _told_actor)
_are_around: Final = _remembered(Around, lambda *_: True)
