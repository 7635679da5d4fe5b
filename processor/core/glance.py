"""A glance at a record's bytes: enough to tell a statement that no waypoint can be met by.

Nearly all statements of a stream are of that kind, and to decode them whole would be most of the work. So only those
fields are decoded that the structural check and the index need. A glance never decides against a record: whatever is
not plainly a statement document that `decode` takes, and that no shelf has a place for, has to be read whole. Two
limits are left to the whole reading, as no cheap look tells of them: numbers that no double holds, and nesting.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache, partial
from operator import attrgetter
from typing import Annotated, Any, Final

from bson import ObjectId
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import Decoder

from processor.core.conditions import ACTIVITY, ACTIVITY_TYPE, VERB, Path, key_of, parse_path
from processor.core.content import SPELLINGS
from processor.core.fields import Field, add_path, struct_of, values_in
from processor.core.identity import Who
from processor.core.shelves import Held, Looks, Shelves
from schemas.decoding import Absent, decoded, others
from schemas.ids import parse_object_id
from schemas.plain import PlainDocument

PATHS_LIMIT: Final = 64
"""Paths that are looked at besides the usual ones: each costs every statement a little."""

FIELDS_LIMIT: Final = 64
"""Fields that a path may need: each step with a dot in it doubles them, and real paths have one such, an IRI."""

TENANTS_LIMIT: Final = 4096
"""Tenants whose ids are known to be ids."""

CHUNK: Final = 125
"""Values that are looked at together: few enough to stay in the processor's cache."""

TEXT: Final = Annotated[str, Meta(min_length=1)]
ID: Final = Annotated[str, Meta(min_length=24, max_length=24)]
INSTANT: Final = Annotated[datetime, Meta(tz=True)]


def _document() -> Field:
    """Return what a statement document that passes the structural check has, in the spelling that is usual."""
    account = Field(fields={"homePage": Field(TEXT, is_required=True), "name": Field(TEXT, is_required=True)})
    identified = {"account": account, "mbox": Field(TEXT), "mbox_sha1sum": Field(TEXT), "openid": Field(TEXT)}
    statement = {
        "actor": Field(is_required=True, fields=identified),
        "verb": Field(is_required=True, fields={"id": Field(TEXT, is_required=True)}),
        "object": Field(is_required=True, fields={"id": Field(TEXT, is_required=True)}),
    }
    return Field(
        fields={
            "_id": Field(ID, is_required=True),
            "organisation": Field(ID, is_required=True),
            "lrs_id": Field(ID | None),
            "client": Field(ID | None),
            "person": Field(is_free=True, fields={"_id": Field(ID | None)}),
            "timestamp": Field(INSTANT, is_required=True),
            "stored": Field(INSTANT, is_required=True),
            "statement": Field(is_required=True, fields=statement),
            "specversion": Field(Absent),
        },
        is_required=True,
    )


LeaveOut = Callable[[Sequence[Held[Any]], Sequence[Any]], Sequence[Held[Any]]]
"""Returns those that can still change something for one of the things that they may match, and leaves out the others.

It is given what is held of one tenant's statements, and what was seen of all of that tenant: the number of each that is
held is its position there. What was seen has a `timestamp`, and an actor (`who_in`).
"""


class Glance:
    """Looks at records for one snapshot of the journeys, given as a shelf for each organisation. Immutable."""

    def __init__(self, shelves: Mapping[ObjectId, Shelves[Any]]) -> None:
        root = _document()
        paths = Counter(path for shelf in shelves.values() for path in shelf.paths)
        looked_at = {path: steps for path, _ in paths.most_common() if _is_plain(steps := parse_path(path))}
        keys_of: dict[str, Callable[[Struct], Iterable[Any]]] = {}
        texts: dict[str, Callable[[Any], str]] = {}
        for path, steps in list(looked_at.items())[:PATHS_LIMIT]:
            keys_of[path] = _keys_in(steps)
            if _is_text(steps, root):
                texts[path] = text = attrgetter(path)
                keys_of[path] = partial(_text_key, text)
            add_path(root, steps, () if steps[0].key == "statement" else SPELLINGS)
        self._decode = Decoder(struct_of(root)).decode
        by_id = {str(organisation): shelf for organisation, shelf in shelves.items()}
        self._shelf_of = lru_cache(TENANTS_LIMIT)(partial(_shelf_of, by_id))
        self._looks = Looks(keys_of, texts)
        self.is_told_by_plain = all(path in _PLAIN.keys for path in paths)
        """Whether plain documents tell all that is looked at."""

    def unsettled(self, values: Sequence[bytes | None], leave_out: LeaveOut | None = None) -> list[Held[Any]]:
        """Return the positions of the values that have to be looked at closer, ascending, each with all it may match.

        That is None where it may be anything, or no usual statement document. The values that are left out are
        statements without a match, or such as `leave_out` does not return.
        """
        starts = range(0, len(values), CHUNK)
        return [
            (start + it, things)
            for start in starts
            for it, things in self._unsettled(values[start : start + CHUNK], leave_out)
        ]

    def held_by(self, documents: Sequence[PlainDocument]) -> list[Sequence[Any] | None]:
        """Return all that each plain document may match, as it would be held; None where that may be anything."""
        held: list[Sequence[Any] | None] = [()] * len(documents)
        for tenant, numbers in _by_tenant(documents):
            for number, things in self._held(tenant, [documents[it] for it in numbers], None, _PLAIN):
                held[numbers[number]] = things
        return held

    def _unsettled(self, values: Sequence[bytes | None], leave_out: LeaveOut | None) -> list[Held[Any]]:
        """What is asked of each is asked of all at once: so the loops run in C, and most chunks take no other."""
        seen, failed = decoded(self._decode, values)
        unsettled: dict[int, Sequence[Any] | None] = dict.fromkeys(failed)
        places = others(failed, len(values))
        if not are_usual(seen, [values[place] for place in places] if failed else values):
            alone = ((place, are_usual([it], [values[place]])) for it, place in zip(seen, places, strict=True))
            unsettled.update((place, None) for place, is_usual in alone if not is_usual)
        for tenant, numbers in _by_tenant(seen):
            those = seen if len(numbers) == len(seen) else [seen[number] for number in numbers]
            for number, things in self._held(tenant, those, leave_out, self._looks):
                unsettled.setdefault(places[numbers[number]], things)
        return [(place, unsettled[place]) for place in sorted(unsettled)]

    def _held(
        self, tenant: tuple[Any, ...], seen: Sequence[Any], leave_out: LeaveOut | None, looks: Looks
    ) -> Sequence[Held[Any]]:
        """Return what may match and is not left out, of statements of one tenant."""
        try:
            shelf = self._shelf_of(*tenant)
        except ValueError:  # the ids are none
            return [(number, None) for number in range(len(seen))]
        held: Sequence[Held[Any]] = shelf.holding(looks, seen) if shelf else ()
        return leave_out(held, seen) if leave_out and held else held


_PLAIN: Final = Looks(
    {
        VERB: lambda seen: (key_of(seen.verb),),
        ACTIVITY: lambda seen: (key_of(seen.activity),),
        ACTIVITY_TYPE: lambda seen: () if seen.activity_type is None else (key_of(seen.activity_type),),
    },
    {VERB: attrgetter("verb"), ACTIVITY: attrgetter("activity")},
)
"""How to look at plain documents."""

_ESCAPED: Final = re.compile(r'["\\\x00-\x1f]')
_TENANT: Final = attrgetter("organisation", "lrs_id", "client")
_REFERENCE: Final = attrgetter("_id")
_YEARS: Final = attrgetter("timestamp.year"), attrgetter("stored.year")
_PERSON: Final = attrgetter("person")
_ACCOUNT: Final = attrgetter("statement.actor.account")


def _by_tenant(seen: Sequence[Any]) -> Iterable[tuple[tuple[Any, ...], Sequence[int]]]:
    """Yield the tenants, each with the positions of its statements; most batches are of one."""
    columns = [it.organisation for it in seen], [it.lrs_id for it in seen], [it.client for it in seen]
    if seen and all(column.count(column[0]) == len(seen) for column in columns):
        return [(_TENANT(seen[0]), range(len(seen)))]
    numbers: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for number, tenant in enumerate(map(_TENANT, seen)):
        numbers[tenant].append(number)
    return numbers.items()


def are_usual(seen: Sequence[Any], values: Sequence[bytes | None]) -> bool:
    """Tell whether the structural check passes what msgspec cannot judge by itself.

    Ids of 24 characters are ids if all are digits. A year at the end of the calendar may be another one in UTC. What
    is passed over has to be UTF-8.
    """
    unnamed = [it.statement.actor for it, account in zip(seen, map(_ACCOUNT, seen), strict=True) if account is UNSET]
    personas = [getattr(person, "_id", None) for person in map(_PERSON, seen) if person]
    try:
        ids = [*map(_REFERENCE, seen), *(persona for persona in personas if persona)]
        return (
            len(bytes.fromhex("".join(ids))) == 12 * len(ids)
            and all(actor.mbox or actor.mbox_sha1sum or actor.openid for actor in unnamed)
            and not any(1 in years or 9999 in years for years in (set(map(year, seen)) for year in _YEARS))
            and all(value is None or value.isascii() or value.decode() for value in values)
        )
    except ValueError:
        return False


def who_in(seen: Any) -> Who | None:
    """Return the identifier of the actor that was seen, if it has one; see `identity.inverse_functional_identifier`."""
    actor = seen.statement.actor
    account = actor.account
    if account and not (actor.mbox or actor.mbox_sha1sum or actor.openid):
        return "account", account.homePage, account.name
    if actor.mbox:
        return "mbox", actor.mbox
    if actor.mbox_sha1sum:
        return "mbox_sha1sum", actor.mbox_sha1sum
    return ("openid", actor.openid) if actor.openid else None


def _shelf_of(
    shelves: Mapping[str, Shelves[Any]],
    organisation: str,
    store: str | UnsetType | None,
    client: str | UnsetType | None,
) -> Shelves[Any] | None:
    """Return the organisation's shelf, if it has journeys. Raises ValueError if one of the ids is none."""
    for given in (store, client):
        if given is not None and given is not UNSET:
            parse_object_id(given)
    return shelves.get(str(parse_object_id(organisation)))


def _is_plain(path: Path) -> bool:
    """Tell a path that can be followed in what is decoded: dates are compared as the record's, numbers count arrays.

    msgspec takes no field whose name JSON has to escape.
    """
    return (
        path[0].key not in ("timestamp", "stored")
        and all(step.position is None and not _ESCAPED.search(step.key) for step in path)
        and len(path) << sum(step.encoded is not None for step in path) <= FIELDS_LIMIT
    )


def _keys_in(path: Path) -> Callable[[Struct], Iterable[Any]]:
    found = values_in(path)
    return lambda seen: [key for value in found(seen) if (key := key_of(value)) is not None]


def _text_key(text: Callable[[Any], str], seen: Any) -> tuple[str]:
    found = text(seen)
    return (found if len(found) != 24 else found.lower(),)


def _is_text(path: Path, usual: Field) -> bool:
    """Tell a path at which every usual statement has a text."""
    field: Field | None = usual
    for step in path:
        field = field.fields.get(step.key) if field and field.is_required else None
    return field is not None and field.is_required and field.kind is TEXT
