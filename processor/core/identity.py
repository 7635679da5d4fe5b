"""Whose progress a statement is, and where it is kept (semantics.md, section 2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

import orjson
from bson import ObjectId
from msgspec.json import Encoder

from processor.core.evidence import Owner

ACTOR_LIMIT = 1_048_576
"""Bytes of an actor: every progress document and event of the owner carries it, and evidence needs room beside it."""

Who = tuple[str, ...] | ObjectId
"""An actor's identifier as it is written, or a persona."""


class Uncounted(StrEnum):
    """Why a statement that matches is nobody's progress; a metric counts each."""

    ANONYMOUS_GROUP = "anonymous-group"
    NO_PERSONA = "no-persona"


@dataclass(frozen=True, slots=True)
class Identification:
    """How actors are told apart: the settings `lowercase_actors` and `count_group_members`."""

    lowercase_actors: bool = False
    count_group_members: bool = False


def inverse_functional_identifier(actor: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the one identifier of an Agent or Group as a tuple, or None when it has none.

    The order only matters for data that nobody validated; it is Learning Locker's
    (learning-locker-behaviour.md, section 8.1). `mbox` and its `mbox_sha1sum` are two identities.
    """
    for key in ("mbox", "mbox_sha1sum", "openid"):
        value = actor.get(key)
        if isinstance(value, str) and value:
            return key, value
    account = actor.get("account")
    if isinstance(account, Mapping):
        home_page, name = account.get("homePage"), account.get("name")
        if isinstance(home_page, str) and isinstance(name, str) and home_page and name:
            return "account", home_page, name
    return None


def who_is(owner: Owner) -> Who | None:
    """Return by what an owner is known again who is written the same way; None for one that nobody knows."""
    if owner.track_by == "persona":
        return owner.ident if isinstance(owner.ident, ObjectId) else None
    return inverse_functional_identifier(owner.ident) if isinstance(owner.ident, Mapping) else None


def owner_again(ident: Any, track_by: str, identification: Identification) -> Owner | None:
    """Return the owner that an `ident` is, as it stands in a document or an event, under a journey's `trackBy`."""
    if track_by == "persona":
        return Owner("persona", ident, _identity("persona", str(ident))) if isinstance(ident, ObjectId) else None
    return _actor_owner(ident, identification) if isinstance(ident, Mapping) else None


def is_group(actor: Mapping[str, Any]) -> bool:
    """Tell a Group; without an objectType an actor is an Agent (xAPI 1.0.3, Data 2.4.2)."""
    return actor.get("objectType") == "Group"


def owners_of(
    document: Mapping[str, Any], track_by: str, identification: Identification
) -> tuple[Owner, ...] | Uncounted:
    """Return whose progress the statement document counts for under a journey's `trackBy`.

    One owner, or one per distinct member of an anonymous Group when that is set; else why there is none.
    """
    if track_by == "persona":
        person = document.get("person")
        owner = owner_again(person.get("_id") if isinstance(person, Mapping) else None, track_by, identification)
        return (owner,) if owner else Uncounted.NO_PERSONA

    actor = document["statement"]["actor"]
    owner = _actor_owner(actor, identification)
    if owner:
        return (owner,)
    if not identification.count_group_members:
        return Uncounted.ANONYMOUS_GROUP
    distinct: dict[bytes, Owner] = {}
    for member in actor.get("member", ()):
        if owner := _actor_owner(member, identification):
            distinct.setdefault(owner.identity, owner)  # the `ident` is the actor as first seen
    return tuple(distinct.values()) or Uncounted.ANONYMOUS_GROUP


def progress_id(organisation: ObjectId, journey: ObjectId, owner: Owner) -> ObjectId:
    """Derive the `_id` of the one progress document of these three, so that two writers never create twins."""
    return ObjectId(sha256(organisation.binary + journey.binary + owner.identity).digest()[:12])


def statement_reference(statement_id: str) -> ObjectId:
    """Derive the reference of a bare statement from its UUID (semantics.md, section 1)."""
    return ObjectId(sha256(statement_id.lower().encode()).digest()[:12])


def owner_from(text: str, track_by: str, identification: Identification) -> Owner:
    """Return the owner that a person writes on a command line, under a journey's `trackBy`. Raises ValueError.

    A persona's id; or an actor: a mail address, the SHA-1 of one (40 hex digits), `homePage|name`, an openid, or the
    whole actor as JSON.
    """
    document: dict[str, Any] = {"person": {"_id": ObjectId(text)}} if ObjectId.is_valid(text) else {}
    if track_by == "actor":
        document = {"statement": {"actor": _actor_from(text)}}
    owners = owners_of(document, track_by, identification)
    if isinstance(owners, Uncounted) or len(owners) != 1:
        wanted = "a persona's id" if track_by == "persona" else "a mail address, homePage|name, an openid or JSON"
        raise ValueError(f"{text!r:.60} is nobody: the journey is tracked by {track_by}, give {wanted}")
    return owners[0]


def _actor_from(text: str) -> dict[str, Any]:
    if text.startswith("{"):
        actor = orjson.loads(text)  # its error is a ValueError
        return actor if isinstance(actor, dict) else {}
    if text.startswith("mailto:"):
        return {"mbox": text}
    if "|" in text:
        home_page, name = text.split("|", 1)
        return {"account": {"homePage": home_page, "name": name}}
    if "://" in text:
        return {"openid": text}
    if "@" in text:
        return {"mbox": f"mailto:{text}"}
    return {"mbox_sha1sum": text} if len(text) == 40 else {}


def _actor_owner(actor: Mapping[str, Any], identification: Identification) -> Owner | None:
    identifier = inverse_functional_identifier(actor)
    if identifier is None:
        return None
    if identification.lowercase_actors and identifier[0] != "mbox_sha1sum":
        identifier = tuple(part.lower() if index else part for index, part in enumerate(identifier))
    return Owner("actor", actor, _identity("actor", *identifier))


_compact = Encoder().encode
"""The same bytes as orjson's, for which they were derived first, but not in a kilobyte of memory each."""


def _identity(*parts: str) -> bytes:
    return _compact(tuple(map(str, parts)))  # BSON has texts that are of another type: code
