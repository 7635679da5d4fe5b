"""How a journey is saved over the one that is stored: what of that can be read, and when `version` grows."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from schemas.journey import Journey, journey_document, journey_from

SERVERS = frozenset({"version", "createdAt", "updatedAt"})
"""The fields that the server keeps; besides `recalculateStatus`, which breaks nothing."""

MEANING = ("waypoints", "isSequential", "isRepeatable", "trackBy", "sources")
"""The fields whose change makes a new `version` (learning-locker-behaviour.md, section 12, item 29)."""


def known_journey(document: Mapping[str, Any] | None) -> Journey | None:
    """Read a stored journey; None if there is none, or it is broken in more than the dates that the server keeps."""
    if document is None:
        return None
    whole = mendable(document)
    if "version" in document and "version" not in whole:
        return None
    try:
        return journey_from(whole)
    except ValidationError:
        return None


def mendable(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored journey without those of the server's own fields that are broken: nobody else may write them."""
    try:
        journey_from(document)
    except ValidationError as error:
        broken = {fault["loc"][0] for fault in error.errors() if fault["loc"]} & SERVERS
        return {key: value for key, value in document.items() if key not in broken}
    return dict(document)


def version_of(document: Mapping[str, Any] | None) -> int:
    """Return the version of a stored journey, broken or not; 0 if there is none."""
    return 0 if document is None else int(mendable(document).get("version") or 1)


def revision_of(journey: Journey, before: Journey | None, now: datetime, used: int = 0) -> Journey | None:
    """Return the journey as it is to be saved over `before`, or None when nothing has changed and both dates are there.

    `version` grows when waypoints, sequence, repeat, trackBy or sources change, and never falls. Where there is no
    `before`, or none that can be read, it is higher than what is known to have been `used`.
    """
    if before is None:
        dates = {"createdAt": journey.createdAt or now, "updatedAt": now}
        return journey.model_copy(update={**dates, "version": max(journey.version, used + 1)})
    kept = {"createdAt": before.createdAt, "updatedAt": before.updatedAt, "version": before.version}
    known, written = _spelled(before), _spelled(journey.model_copy(update=kept))
    if written == known and before.createdAt and before.updatedAt:
        return None
    is_same = all(written[name] == known[name] for name in MEANING)
    version = before.version if is_same else max(before.version + 1, journey.version)
    created = before.createdAt or now
    return journey.model_copy(update={"createdAt": created, "updatedAt": now, "version": version})


def _spelled(journey: Journey) -> dict[str, str]:
    """Spell each field out: to Python 1 is True and the order of keys is nothing, to conditions they are not."""
    return {name: json.dumps(value, default=_typed) for name, value in journey_document(journey).items()}


def _typed(value: Any) -> str:
    return f"{type(value).__name__} {value}"
