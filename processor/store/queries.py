"""What the interfaces read: `ports.QueryReader`. The one place where their queries are built, and confined.

Every query is an `$and` of the caller's organisation and the caller's filter: whatever the filter says, it can only
narrow. No stage leaves the collection, but for the state of a recalculation, which is the journey's by its `_id`, and
for the attempts that have left a progress document, which names them itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from bson import ObjectId
from bson.errors import BSONError, InvalidBSON
from pymongo.errors import DocumentTooLarge, ExecutionTimeout, OperationFailure

from processor.core.identity import statement_reference
from processor.core.queries import JOURNEY, OWN, PROGRESS, Found, Model, Projection, Query
from processor.core.recalculation import with_status
from processor.errors import InvalidInput, StoreUnavailable
from processor.ports.stream import Clock
from processor.store.connect import JOURNEYS, PROGRESSES, RECALCULATIONS, STATEMENTS, Database, Document
from processor.store.failures import translated
from processor.store.indexes import INDEXES
from processor.store.whole import OURS, counting, joining, with_attempts

WORK = f"{OWN}work"
"""Where the server puts what is known of a journey's recalculation."""

PLACE = f"{OWN}place"
"""Where the server puts the sort values of a document."""

STATUS = "recalculateStatus"

BEFORE = "completionsBefore"
"""How many attempts come before those shown, as in events."""

SIZE = f"{OWN}size"
"""Where the server puts the bytes of a document."""

BAD_VALUE = 2

TOO_LARGE = frozenset({10334, 4568})
"""BSONObjectTooLarge, and what a join says: a document is larger than 16 MB with all its attempts."""

COLLECTIONS = {PROGRESS.name: PROGRESSES, JOURNEY.name: JOURNEYS}

KEYS = {name: {it.document["name"]: it.document["key"] for it in INDEXES[name]} for name in COLLECTIONS.values()}
"""What our indexes are called, and what they are of."""


class MongoQueryReader:
    """Reads for one database's interfaces; a query that takes longer than `timeout` seconds is cut off."""

    def __init__(self, database: Database, timeout: float, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._timeout = timeout
        self._options: Document = {"maxTimeMS": max(1, int(timeout * 1000))}

    async def find(self, model: Model, organisation: ObjectId, query: Query) -> Sequence[Found]:
        """Return documents in order; see `ports.QueryReader.find`."""
        _check_hint(model, query.hint)
        with self._asked(query.hint is not None):
            try:
                found = await self._found(model, organisation, query, _showing(model, query))
            except OperationFailure as error:
                if model is not PROGRESS or error.code not in TOO_LARGE:
                    raise
                found = await self._found(model, organisation, query, _showing(model, query, joins=False))
        if model is not JOURNEY:
            return found
        now = self._clock.now()
        return [replace(it, document=_with_status(dict(it.document), query.project, now)) for it in found]

    async def _found(
        self, model: Model, organisation: ObjectId, query: Query, showing: Sequence[Document]
    ) -> list[Found]:
        stages: list[Document] = [
            {"$match": _confined(organisation, query.filter, *query.beyond)},
            {"$sort": dict(query.sort)},
            *([{"$skip": query.skip}] if query.skip else []),
            {"$limit": query.limit},
            *showing,
            {"$addFields": {SIZE: {"$bsonSize": "$$ROOT"}}},
        ]
        options = self._options | ({"hint": query.hint} if query.hint else {})
        collection = self._database[COLLECTIONS[model.name]]
        found: list[Found] = []
        size = 0
        async with await collection.aggregate(stages, allowDiskUse=False, **options) as documents:
            async for document in documents:
                place, own = tuple(document.pop(PLACE)), document.pop(SIZE)
                found.append(Found(document, place, own))
                size += own
                if query.most is not None and size > query.most:
                    break
        return found

    async def one(
        self, model: Model, organisation: ObjectId, key: ObjectId, project: Projection | None = None
    ) -> Mapping[str, Any] | None:
        """Return one document or None; see `ports.QueryReader.one`."""
        found = await self.find(model, organisation, Query({"_id": key}, project=project, limit=1))
        return found[0].document if found else None

    async def count(self, model: Model, organisation: ObjectId, query: Query) -> int:
        """Count; see `ports.QueryReader.count`."""
        options: Document = self._options | ({"skip": query.skip} if query.skip else {})
        with self._asked():
            collection = self._database[COLLECTIONS[model.name]]
            return await collection.count_documents(_confined(organisation, query.filter), **options)

    async def distinct(self, model: Model, organisation: ObjectId, path: str, query: Query) -> Sequence[Any]:
        """Return different values; see `ports.QueryReader.distinct`."""
        if model.shown is not None and path.partition(".")[0] not in model.shown:
            return []
        with self._asked():
            collection = self._database[COLLECTIONS[model.name]]
            return await collection.distinct(path, _confined(organisation, query.filter), **self._options)

    async def progresses(
        self, organisation: ObjectId, keys: Sequence[ObjectId]
    ) -> Mapping[ObjectId, Mapping[str, Any]]:
        """Return progress documents whole; see `ports.QueryReader.progresses`."""
        wanted = _confined(organisation, {"_id": {"$in": list(keys)}, **OURS})
        with self._asked():
            found = self._database[PROGRESSES].find(wanted, max_time_ms=self._options["maxTimeMS"])
            documents = await with_attempts(self._database, await found.to_list())
        return {document["_id"]: document for document in documents}

    async def statement(self, organisation: ObjectId, key: ObjectId | str) -> Mapping[str, Any] | None:
        """Return a statement document; see `ports.QueryReader.statement`.

        By the `_id` that is derived from an xAPI id first: only Learning Locker has an index by the xAPI id.
        """
        named: list[Document] = [{"_id": key}]
        if isinstance(key, str):
            spelled = str(UUID(key))
            spellings = [key, spelled, spelled.upper()]
            named = [{"_id": statement_reference(spelled)}, {"statement.id": {"$in": spellings}}]
        with self._asked():
            for wanted in named:
                found = await self._database[STATEMENTS].find_one(
                    _confined(organisation, wanted), max_time_ms=self._options["maxTimeMS"]
                )
                if found is not None:
                    return found
        return None

    async def reach(self) -> None:
        """Return if MongoDB answers."""
        with translated():
            await self._database.command("ping")

    @contextmanager
    def _asked(self, has_hint: bool = False) -> Iterator[None]:
        """What MongoDB refuses is the caller's query, as nothing else varies; or it took too long."""
        try:
            with translated():
                yield
        except StoreUnavailable as error:
            if isinstance(error.__cause__, ExecutionTimeout):
                raise StoreUnavailable(
                    f"the query took longer than {self._timeout:g} s: narrow the filter, or sort by _id or updatedAt"
                ) from None
            raise
        except OperationFailure as error:
            if has_hint and error.code == BAD_VALUE:
                raise InvalidInput("hint: MongoDB has no such index, or cannot use it here") from error
            reason = (error.details or {}).get("errmsg", "")
            raise InvalidInput(f"MongoDB does not take the query: {reason:.200}") from error
        except InvalidBSON:
            raise  # what is stored cannot be read: that is not the caller's
        except (BSONError, DocumentTooLarge, OverflowError) as error:
            raise InvalidInput(f"MongoDB cannot hold a value of the query: {error!s:.200}") from error


def _check_hint(model: Model, hint: str | Mapping[str, Any] | None) -> None:
    """Refuse an index of ours of what is hidden: most lack documents, which would be missing without a word."""
    for path in KEYS[COLLECTIONS[model.name]].get(hint, ()) if isinstance(hint, str) else hint or ():
        model.check_shown(path, "hint")


def _confined(organisation: ObjectId, *filters: Mapping[str, Any]) -> Document:
    """Nothing but the organisation's documents, whatever the filters say."""
    return {"$and": [{"organisation": organisation}, *(dict(part) for part in filters if part)]}


def _showing(model: Model, query: Query, *, joins: bool = True) -> list[Document]:
    """Put the place aside, then leave only what the model shows, then only what the caller wants of it.

    What does not join the attempts that have left documents tells how many they are.
    """
    stages: list[Document] = [{"$addFields": {PLACE: [f"${path}" for path, _ in query.sort]}}]
    hidden = {PLACE: 1}
    shown = dict.fromkeys(model.shown or (), 1) | hidden
    if model is PROGRESS and _may_want(query.project, "completions"):
        stages += joining() if joins else counting(BEFORE)
        if not joins:
            shown[BEFORE] = 1
            hidden |= {} if any(path.partition(".")[0] == BEFORE for path in query.project or ()) else {BEFORE: 1}
    if model.shown is not None:
        stages.append({"$project": shown})
    if model is JOURNEY:
        stages.append({"$lookup": {"from": RECALCULATIONS, "localField": "_id", "foreignField": "_id", "as": WORK}})
        hidden[WORK] = 1
    if query.project:
        stages.append({"$project": query.project | hidden if _is_wanting(query.project) else query.project})
    return stages


def _may_want(project: Projection | None, name: str) -> bool:
    """Tell whether a projection may show a field, under whatever name."""
    if project is None or not _is_wanting(project):
        return True
    return any(name in path or name in str(wish) for path, wish in project.items())


def _is_wanting(project: Projection) -> bool:
    """Tell a projection of what is wanted from one of what is not; only `_id` may be unwanted in the first."""
    return any(project.values())


def _with_status(journey: Document, project: Projection | None, now: datetime) -> Mapping[str, Any]:
    """Show how the recalculation stands, if the caller wants it: whole, or those of its fields that are wanted.

    A caller who wants something else under that name gets that.
    """
    [stored] = journey.pop(WORK) or [None]
    named = {path: wish for path, wish in (project or {}).items() if path.partition(".")[0] == STATUS}
    is_of_wanted = bool(project and _is_wanting(project))
    is_wanted = 1 in named.values() if is_of_wanted else STATUS not in named
    if not is_wanted:
        return journey
    shown = with_status(journey, stored, now)
    fields = {path.partition(".")[2] for path in named} - {""}
    status = shown.get(STATUS)
    if fields and isinstance(status, Mapping):
        return {**shown, STATUS: {name: value for name, value in status.items() if (name in fields) is is_of_wanted}}
    return shown
