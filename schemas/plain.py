"""A quick yes: statements of the usual kind, of which it is plain that the full model takes them.

Nearly all that match are agents who did something with an activity. To see that costs a quarter of what the model
(schemas/statement.py) does, and from the bytes, where verbs, activities and contexts come again and again, a tenth;
whatever is not plainly so is for the model to judge.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

import orjson
from msgspec import UNSET, MsgspecError, Struct, UnsetType, convert, field
from msgspec.json import Decoder

from schemas.plain_parts import Activity, Agent, Around, Part, RawStatement, Statement, Verb

REMEMBERED: Final = 1024
"""Parts of each kind of which it is remembered what they say."""

SHORT: Final = 1024
"""Bytes that a part may have that is remembered."""

Known = TypeVar("Known", bound=Part)
Told = TypeVar("Told")


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
        parts = (plain, plain.actor, plain.verb, plain.object, plain.context, plain.authority)
        around = plain.context and plain.context.contextActivities
        return all(part.holds() for part in (*parts, around) if part)
    except (MsgspecError, TypeError, ValueError):  # what BSON has besides JSON: code for a text, say
        return False


def plain_document(value: bytes) -> PlainDocument | None:
    """Read a statement document, if its statement is plain and it is not voided. None says nothing about it.

    The bytes are UTF-8 JSON without escaped dots in keys. Ids, times, and what stands beside the statement are for
    others to judge.
    """
    try:
        found = _read(value)
        statement = found.statement
        context, authority, written = statement.context, statement.authority, bytes(statement.actor)
        around = context and context.contextActivities
        verb, activity, actor = _verb(bytes(statement.verb)), _activity(bytes(statement.object)), _actor(written)
        if not (
            (verb and activity and actor and not found.voided and statement.holds())
            and (context is UNSET or context.holds())
            and (not around or _is_around(bytes(around)))
            and (authority is UNSET or _actor(bytes(authority)))
        ):
            return None
    except (MsgspecError, ValueError, RecursionError):
        return None
    return PlainDocument(
        id=found.id,
        timestamp=found.timestamp,
        stored=found.stored,
        store=_known(found.lrs_id),
        persona=_known(found.person.id) if found.person else None,
        actor=actor,
        written_actor=written,
        verb=verb,
        activity=activity[0],
        activity_type=activity[1],
    )


def _known(value: str | UnsetType | None) -> str | None:
    return None if value is UNSET else value


def _remembered(kind: type[Known], told: Callable[[bytes, Known], Told]) -> Callable[[bytes], Told | None]:
    """Return what tells something of the JSON of a part, None if it does not hold; at once where it did before.

    Raises MsgspecError or ValueError for what is no such part.
    """
    read = Decoder(kind).decode

    def judged(value: bytes) -> Told | None:
        part = read(value)
        return told(value, part) if part.holds() else None

    known = lru_cache(REMEMBERED)(judged)
    return lambda value: known(value) if len(value) <= SHORT else judged(value)


def _told_activity(_: bytes, activity: Activity) -> tuple[str, str | None]:
    return activity.id, _known(activity.definition.type) if activity.definition else None


def _told_actor(value: bytes, _: Agent) -> dict[str, Any]:
    told: dict[str, Any] = orjson.loads(value)
    return told


_read: Final = Decoder(_Document).decode
_verb: Final = _remembered(Verb, lambda _, verb: verb.id)
_activity: Final = _remembered(Activity, _told_activity)
_actor: Final = _remembered(Agent, _told_actor)
_is_around: Final = _remembered(Around, lambda *_: True)
