"""A quick yes: statements of the usual kind, of which it is plain that the full model takes them.

Nearly all that match are agents who did something with an activity. To see that costs a quarter of what the model
(schemas/statement.py) does, and from the bytes, where verbs, activities and contexts come again and again, a tenth;
whatever is not plainly so is for the model to judge.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from msgspec import UNSET, MsgspecError, Struct, UnsetType, convert, field
from msgspec.json import Decoder

from schemas.plain_parts import Activity, Agent, Around, Part, RawStatement, Statement, Verb

REMEMBERED: Final = 1024
"""Parts of each kind of which the verdict is remembered, and the bytes that such a part may have."""

Known = TypeVar("Known", bound=Part)


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
    """What a statement document with a plain statement says; `actor` is its JSON, ids and times are as written."""

    id: str
    timestamp: str
    stored: str
    store: str | None
    persona: str | None
    actor: bytes
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
        context, authority, actor = statement.context, statement.authority, bytes(statement.actor)
        around = context and context.contextActivities
        verb, activity = _verb(bytes(statement.verb)), _activity(bytes(statement.object))
        if not (
            (verb and activity and not found.voided and statement.holds() and _read_agent(actor).holds())
            and (context is UNSET or context.holds())
            and (not around or _around(bytes(around)))
            and (authority is UNSET or _agent(bytes(authority)))
        ):
            return None
    except (MsgspecError, ValueError, RecursionError):
        return None
    return PlainDocument(
        id=found.id,
        timestamp=found.timestamp,
        stored=found.stored,
        store=found.lrs_id or None,
        persona=(found.person and found.person.id) or None,
        actor=actor,
        verb=verb.id,
        activity=activity.id,
        activity_type=(activity.definition and activity.definition.type) or None,
    )


def _remembered(kind: type[Known]) -> Callable[[bytes], Known | None]:
    """Return what reads the JSON of a part, None if it does not hold; at once where it was read before.

    Raises MsgspecError or ValueError for what is no such part.
    """
    read = Decoder(kind).decode

    def judged(value: bytes) -> Known | None:
        part = read(value)
        return part if part.holds() else None

    known = lru_cache(REMEMBERED)(judged)
    return lambda value: known(value) if len(value) <= REMEMBERED else judged(value)


_read: Final = Decoder(_Document).decode
_read_agent: Final = Decoder(Agent).decode
_verb: Final = _remembered(Verb)
_activity: Final = _remembered(Activity)
_around: Final = _remembered(Around)
_agent: Final = _remembered(Agent)
