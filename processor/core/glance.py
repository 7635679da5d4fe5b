"""A glance at a record's bytes: enough to tell a statement that no waypoint can be met by.

Nearly all statements of a stream are of that kind, and to decode them whole would be most of the work. So only those
fields are decoded that the structural check and the index need. A glance never decides against a record: whatever is
not plainly a statement document that `decode` takes, and that no shelf has a place for, has to be read whole. Two
limits are left to the whole reading, as no cheap look tells of them: numbers that no double holds, and nesting.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache, partial
from operator import attrgetter
from typing import Annotated, Any, Final

from bson import ObjectId
from msgspec import UNSET, Meta, MsgspecError, Struct, UnsetType
from msgspec.json import Decoder

from processor.core.conditions import Path, key_of, parse_path
from processor.core.fields import ABSENT, Field, add_path, struct_of, values_in
from processor.core.shelves import KeysOf, Shelves
from schemas.ids import parse_object_id

PATHS_LIMIT: Final = 64
"""Paths that are looked at besides the usual ones: each costs every statement a little."""

TENANTS_LIMIT: Final = 4096
"""Tenants whose ids are known to be ids."""

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
            "specversion": Field(ABSENT),
        },
        is_required=True,
    )


class Glance:
    """Looks at records for one snapshot of the journeys, given as a shelf for each organisation. Immutable."""

    def __init__(self, shelves: Mapping[ObjectId, Shelves[Any]]) -> None:
        root = _document()
        paths = Counter(path for shelf in shelves.values() for path in shelf.paths)
        looked_at = {path: steps for path, _ in paths.most_common() if _is_plain(steps := parse_path(path))}
        keys_of: dict[str, Callable[[Struct], Iterable[Any]]] = {}
        for path, steps in list(looked_at.items())[:PATHS_LIMIT]:
            keys_of[path] = _keys_in(steps, root)
            add_path(root, steps)
        self._decode = Decoder(struct_of(root)).decode
        by_id = {str(organisation): shelf for organisation, shelf in shelves.items()}
        self._shelf_of = lru_cache(TENANTS_LIMIT)(partial(_shelf_of, by_id))
        self._keys_of: KeysOf = keys_of

    def unsettled(self, values: Sequence[bytes | None]) -> list[int]:
        """Return the positions of the values that have to be read whole; all others are statements without a match."""
        positions = []
        decode, shelf_of, keys_of = self._decode, self._shelf_of, self._keys_of
        for position, value in enumerate(values):
            try:
                seen: Any = decode(value or b"")
                shelf = shelf_of(seen.organisation, seen.lrs_id, seen.client)
                if (shelf and shelf.may_hold(keys_of, seen)) or not _is_usual(seen, value or b""):
                    positions.append(position)
            except (MsgspecError, ValueError, TypeError, RecursionError):
                positions.append(position)
        return positions


def _is_usual(seen: Any, value: bytes) -> bool:
    """Tell whether the structural check passes what msgspec cannot judge by itself. Raises ValueError if it does not.

    What is passed over is checked for UTF-8; a year at the end of the calendar may be another one in UTC.
    """
    actor, person = seen.statement.actor, seen.person
    if person is not None and person is not UNSET:
        persona = getattr(person, "_id", None)
        if persona is not None and persona is not UNSET:
            parse_object_id(persona)
    return (
        len(bytes.fromhex(seen._id)) == 12  # noqa: SLF001 - a field; of 24 characters, all of them digits
        and (
            actor.account is not UNSET
            or actor.mbox is not UNSET
            or actor.mbox_sha1sum is not UNSET
            or actor.openid is not UNSET
        )
        and 1 < seen.timestamp.year < 9999
        and 1 < seen.stored.year < 9999
        and (value.isascii() or bool(value.decode()))
    )


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
    """Tell a path that can be followed in what is decoded: dates are compared as the record's, numbers count arrays."""
    return path[0].key not in ("timestamp", "stored") and all(step.position is None for step in path)


def _keys_in(path: Path, usual: Field) -> Callable[[Struct], Iterable[Any]]:
    """Return what finds the keys at a path; where the structural check wants a text there, in one call."""
    if not _is_text(path, usual):
        found = values_in(path)
        return lambda seen: [key for value in found(seen) if (key := key_of(value)) is not None]
    text_at = attrgetter(".".join(step.key for step in path))

    def key_at(seen: Struct) -> Iterable[Any]:
        text = text_at(seen)
        return (text if len(text) != 24 else text.lower(),)

    return key_at


def _is_text(path: Path, usual: Field) -> bool:
    field: Field | None = usual
    for step in path:
        field = field.fields.get(step.key) if field and field.is_required else None
    return field is not None and field.is_required and field.kind is TEXT
