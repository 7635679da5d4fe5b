"""Journeys as callers write them: merged, checked as `journeys check` does, versioned, never over another's change."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import bson
from bson import ObjectId

from processor.core.conditions import InvalidConditions
from processor.core.conditions.dialect import check_extent
from processor.core.journey import InvalidJourney, compile_journey
from processor.core.queries import JOURNEY, OWN
from processor.core.revision import SERVERS, known_journey, mendable, revision_of, version_of
from processor.errors import InvalidInput, NotFound, StoreUnavailable
from processor.ports.interfaces import JourneyWriter, QueryReader
from processor.ports.stream import Clock
from schemas.journey import Journey, journey_document, journey_from

KEPT: Final = SERVERS | {"_id", "id", "__v", "organisation", "recalculateStatus"}
"""What the server keeps. In what callers write it is passed over, so that what was read may come back."""

JOURNEY_BYTES: Final = 2_000_000
"""What a journey may take where it is stored; MongoDB takes 16 MB, but all of them are read at each change of one."""

TRIES: Final = 5
MILLISECOND: Final = timedelta(milliseconds=1)

Document = Mapping[str, Any]


class Authoring:
    """Writes the journeys of one organisation at a time.

    They are compiled beside the event loop, in turns of `compiling`: it takes a second for one full of expressions.
    """

    def __init__(self, reader: QueryReader, writer: JourneyWriter, clock: Clock, compiling: asyncio.Semaphore) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._compiling = compiling

    async def create(self, organisation: ObjectId, written: Document) -> Document:
        """Save a new journey and return it as stored. Raises `InvalidInput` with the path of each fault."""
        document = identified(_writable(written)) | {"_id": ObjectId(), "organisation": organisation}
        async with self._compiling:
            stored = await asyncio.to_thread(self._made, document)
        await self._writer.insert(stored)
        return stored

    async def change(self, organisation: ObjectId, key: ObjectId, written: Document) -> Document:
        """Merge what was written into a journey and return it as stored.

        Objects are merged, lists are replaced whole, null leaves a field as it is. `version` grows when what is
        computed changes. Raises `NotFound`, or `InvalidInput` with the path of each fault.
        """
        changes = identified(_writable(written))
        for _ in range(TRIES):
            before = await self._reader.one(JOURNEY, organisation, key)
            if before is None:
                raise NotFound(f"there is no journey {key}")
            known = known_journey(before)
            used = 0 if known else max(version_of(before), await self._writer.last_version(key))
            async with self._compiling:
                after = await asyncio.to_thread(self._revised, before, known, changes, used)
            if after is None:
                return before
            if await self._writer.change(before, after):
                return after
        raise StoreUnavailable("the journey is being changed by others all the time: try again")

    async def remove(self, organisation: ObjectId, key: ObjectId) -> None:
        """Remove a journey; its progress documents stay. Raises `NotFound`."""
        if not await self._writer.remove(organisation, key):
            raise NotFound(f"there is no journey {key}")

    def _made(self, document: Document) -> Document:
        """The new journey, as it is to be stored."""
        journey = revision_of(_checked(document), None, self._clock.now())
        assert journey is not None
        stored = journey_document(journey)
        check_storable(stored)
        return stored

    def _revised(self, before: Document, known: Journey | None, changes: Document, used: int) -> Document | None:
        """The journey after the change, or None when nothing changes; `updatedAt` always moves on."""
        now = self._clock.now()
        if known and known.updatedAt:
            now = max(now, known.updatedAt + MILLISECOND)
        revised = revision_of(_checked(merged(mendable(before), changes)), known, now, used)
        if revised is None:
            return None
        after = journey_document(revised)
        if "recalculateStatus" in before:  # somebody else's: left as it is, to the letter
            after["recalculateStatus"] = before["recalculateStatus"]
        check_storable(after)
        return after


def merged(before: Document, changes: Document) -> dict[str, Any]:
    """Return `before` with `changes` put in: objects merged at any depth, everything else replaced."""
    both = dict(before)
    for key, value in changes.items():
        known = both.get(key)
        both[key] = merged(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return both


def identified(written: Document) -> dict[str, Any]:
    """Give an `_id` to each waypoint and outcome that has none: its `id`, or a new one."""
    lists = {name: value for name in ("waypoints", "outcomes") if isinstance(value := written.get(name), list)}
    return {**written, **{name: [_with_id(part) for part in parts] for name, parts in lists.items()}}


def _writable(written: Document) -> dict[str, Any]:
    """What the caller may write, if MongoDB can hold its shape. `conditions` are kept as text, so anything goes.

    A field of ours that is null is the same as left out, as the schema says.
    """
    try:
        check_extent(written)
    except InvalidConditions as error:
        raise InvalidInput(str(error)) from None
    for key in written:
        if not key or key.startswith(("$", OWN)) or "." in key or "\0" in key:
            raise InvalidInput(f"{key!r:.60} cannot be the name of a field")
    known = Journey.model_fields
    return {key: value for key, value in written.items() if key not in KEPT and (value is not None or key not in known)}


def _with_id(part: Any) -> Any:
    if not isinstance(part, Mapping):
        return part
    key = part.get("_id") or part.get("id") or ObjectId()
    return {**{name: value for name, value in part.items() if name != "id"}, "_id": key}


def _checked(document: Document) -> Journey:
    try:
        compile_journey(document)
        return journey_from(document)
    except InvalidJourney as error:
        raise InvalidInput(str(error)) from None


def check_storable(document: Document) -> None:
    """Hold a journey to what MongoDB can keep of it. Raises `InvalidInput`."""
    if (path := _operator_in(document, "")) is not None:
        raise InvalidInput(f"{path}: a name that begins with $ cannot be kept")
    try:
        size = len(bson.encode(document))
    except (bson.errors.BSONError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"MongoDB cannot hold it: {error!s:.200}") from None
    if size > JOURNEY_BYTES:
        raise InvalidInput(f"the journey would take {size} bytes, and {JOURNEY_BYTES} fit: shorten or divide it")


def _operator_in(value: Any, path: str) -> str | None:
    """Return the path of the first key that MongoDB would take for an operator."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            here = f"{path}.{key}".lstrip(".")
            found = here if key.startswith("$") else _operator_in(child, here)
            if found is not None:
                return found
    elif isinstance(value, list):
        return next(
            (it for n, child in enumerate(value) if (it := _operator_in(child, f"{path}[{n}]")) is not None), None
        )
    return None
