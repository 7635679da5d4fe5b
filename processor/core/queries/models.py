"""The models that the interfaces show, as data: which of their fields are ids, dates, numbers, booleans.

Learning Locker casts what a caller writes by the model's schema: `{"journey": "59c2…"}` means the ObjectId.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from bson import ObjectId
from bson.datetime_ms import DatetimeMS

from processor.core.conditions.paths import parse_path
from processor.errors import InvalidInput
from schemas.ids import format_far, format_timestamp, parse_object_id, parse_timestamp
from schemas.progress import PUBLIC

OWN: Final = "\N{MIDDLE DOT}"
"""What the names begin with that the server puts beside a document's fields; no caller may ask for them."""


class Kind(StrEnum):
    """What a field holds."""

    ID = "id"
    DATE = "date"
    NUMBER = "number"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Model:
    """One model: `kinds` by path (`*` stands for a key such as a waypoint id, positions are left out).

    `shown` lists the fields that exist for the outside, None for all; `hidden` ones may not even be asked about.
    `steady` fields are in every document and of one kind, which makes paging by them cheap.
    """

    name: str
    kinds: Mapping[str, Kind]
    shown: tuple[str, ...] | None
    hidden: frozenset[str]
    steady: frozenset[str]

    def kind_at(self, path: str) -> Kind | None:
        """Return what the field at the path holds, None for what is not known or may be anything."""
        named = [part for part in path.split(".") if not part.isdecimal() or len(part) == ID_LENGTH]
        return self.kinds.get(".".join(named)) or self.kinds.get(".".join(_without_keys(named)))

    def check_path(self, path: str, parameter: str) -> None:
        """Raise `InvalidInput` for a path that is none, or leads to what no interface shows."""
        try:
            parse_path(path)
        except ValueError as error:
            raise InvalidInput(f"{parameter}: {path!r:.60}: {error}") from None
        self.check_shown(path, parameter)
        if "\0" in path or any(part.startswith("$") for part in path.split(".")):
            raise InvalidInput(f"{parameter}: {path!r:.60} is not a path: its parts are names of fields")

    def check_shown(self, path: str, parameter: str) -> None:
        """Raise `InvalidInput` for a path that leads to what no interface shows."""
        if path.partition(".")[0] in self.hidden or path.startswith(OWN):
            raise InvalidInput(f"{parameter}: {path!r:.60} is not a field of {self.name}")


ID_LENGTH = 24
"""Digits of a waypoint's id, all of which may be decimal: no position is as long."""


def _without_keys(named: list[str]) -> list[str]:
    """Put `*` where documents have waypoint ids as keys."""
    return [
        "*" if part and position and named[position - 1] in ("pendingProgress", "waypoints") else part
        for position, part in enumerate(named)
    ]


def cast(kind: Kind | None, value: Any, at: str) -> Any:
    """Return a string as the kind of value that it spells; other values as they are. Raises `InvalidInput`."""
    if kind is None or not isinstance(value, str):
        return value
    try:
        return _CASTS[kind](value)
    except ValueError as error:
        raise InvalidInput(f"{at}: {error}") from None


def written(kind: Kind | None, value: Any) -> Any:
    """Write a value as JSON, so that `cast`, and the dialect where no kind is known, read the same value again."""
    if isinstance(value, ObjectId):
        return str(value) if kind is Kind.ID else {"$oid": str(value)}
    if isinstance(value, datetime):
        return format_timestamp(value) if kind is Kind.DATE else {"$dte": format_timestamp(value)}
    if isinstance(value, DatetimeMS):
        return format_far(value)
    if isinstance(value, dict):
        return {key: written(None, child) for key, child in value.items()}
    if isinstance(value, list):
        return [written(None, child) for child in value]
    return value


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{text!r:.60} is neither true nor false")
    return text == "true"


SPELLED: Mapping[Kind, tuple[type, ...]] = {Kind.ID: (ObjectId,), Kind.DATE: (datetime, DatetimeMS)}
"""The kinds that JSON has no values of its own for, and what they are in Python."""

_CASTS = {Kind.ID: parse_object_id, Kind.DATE: parse_timestamp, Kind.NUMBER: _number, Kind.BOOLEAN: _boolean}

PROGRESS = Model(
    name="journeyProgress",
    kinds={
        **dict.fromkeys(("_id", "journey", "organisation"), Kind.ID),
        **dict.fromkeys(("createdAt", "updatedAt", "startedAt", "completedAt"), Kind.DATE),
        "duration": Kind.NUMBER,
        "isCompleted": Kind.BOOLEAN,
        "pendingProgress.*.statements.statement": Kind.ID,
        "pendingProgress.*.statements.timestamp": Kind.DATE,
        "completions.isCompleted": Kind.BOOLEAN,
        "completions.completedAt": Kind.DATE,
        "completions.waypoints.*.waypoint": Kind.ID,
        "completions.waypoints.*.order": Kind.NUMBER,
        "completions.waypoints.*.isCompleted": Kind.BOOLEAN,
        "completions.waypoints.*.completedAt": Kind.DATE,
        "completions.waypoints.*.statements.statement": Kind.ID,
        "completions.waypoints.*.statements.timestamp": Kind.DATE,
    },
    shown=PUBLIC,
    hidden=frozenset({"processing"}),
    steady=frozenset({"_id", "journey", "organisation", "createdAt", "updatedAt"}),
)

JOURNEY = Model(
    name="journey",
    kinds={
        **dict.fromkeys(("_id", "organisation", "owner", "sources", "waypoints._id", "outcomes._id"), Kind.ID),
        **dict.fromkeys(("createdAt", "updatedAt", "outcomes.deactivatedAt"), Kind.DATE),
        **dict.fromkeys(("recalculateStatus.recalculatedAt", "recalculateStatus.cancelledAt"), Kind.DATE),
        **dict.fromkeys(("version", "waypoints.count", "waypoints.order", "outcomes.tripCount"), Kind.NUMBER),
        **dict.fromkeys(("isActive", "isSequential", "isRepeatable", "isPublic"), Kind.BOOLEAN),
        **dict.fromkeys(("waypoints.isActive", "outcomes.isActive", "recalculateStatus.inProgress"), Kind.BOOLEAN),
    },
    shown=None,
    hidden=frozenset(),
    steady=frozenset({"_id"}),
)

MODELS = {model.name: model for model in (PROGRESS, JOURNEY)}
