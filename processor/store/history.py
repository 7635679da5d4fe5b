"""Collection `statements`, read again: `ports.History`.

The statements that could match are found window by window of ids, so that no query looks at more than a window,
however few match. Windows are cut in the index of `_id` alone, the only one that the collection is sure to have.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from bson import ObjectId

from processor.core.conditions import any_of, narrowed
from processor.core.decode import stored_statement
from processor.core.journey import JourneyRules
from processor.core.records import StatementRecord
from processor.core.rereading import Held, Scope
from processor.ports.recalculation import Reread
from processor.store import marks
from processor.store.connect import PROGRESSES, STATEMENTS, Database, Document
from processor.store.failures import translated
from processor.store.outbox import BY_ID
from processor.store.replays import AHEAD, HELD
from processor.store.whole import OURS, with_attempts

WINDOW: Final = 5_000
"""Statements that one query looks at."""

FIRST: Final = ObjectId(bytes(12))
"""No ObjectId is less."""

DOCUMENTS: Final = 500
"""Progress documents whose evidence is read at once, at most."""

REFERENCES: Final = 2_000
"""Statements that they hold, at most: these are read whole and judged in one go, while the live stream waits."""


class MongoHistory:
    """The statements that one database keeps."""

    def __init__(
        self, database: Database, *, window: int = WINDOW, documents: int = DOCUMENTS, references: int = REFERENCES
    ) -> None:
        self._database = database
        self._statements = database[STATEMENTS]
        self._progresses = database[PROGRESSES]
        self._window = window
        self._documents = documents
        self._references = references

    async def size(self, scope: Scope) -> int:
        """Count, from indexes alone, the scope's documents and roughly all statements; see `ports.History.size`."""
        with translated():
            return (
                await self._progresses.count_documents(_documents_of(scope))
                + await self._statements.estimated_document_count()
            )

    async def evidence(self, scope: Scope, position: Any | None) -> Reread:
        """Read what some of the scope's documents hold.

        `position` is the last document's `_id`; or, when only a part of that was read, `{document, after}`: after which
        of its statements, by their ids, it goes on.
        """
        part = position if isinstance(position, Mapping) else {}
        behind = {"$gte": part["document"]} if part else {"$gt": position}
        page = {**_documents_of(scope), **OURS, **({"_id": behind} if position and not scope.only else {})}
        held = Held(self._references)
        with translated():
            found = self._progresses.find(page, HELD, hint=marks.BY_JOURNEY, batch_size=AHEAD).sort("_id")
            async with found.limit(self._documents) as documents:
                async for document in documents:
                    [holder] = await with_attempts(self._database, [document])
                    held.take(holder, part.get("after") if document["_id"] == part.get("document") else None)
                    if held.is_full:
                        break
            asked = {"_id": {"$in": list(held.references)}, "organisation": scope.rules.organisation}
            statements = await self._statements.find(asked).to_list()
        is_over = scope.only or not (held.is_full or len(held.holders) == self._documents)
        last = None if is_over else held.holders[-1]["_id"]
        if held.after:
            last = {"document": held.holders[-1]["_id"], "after": held.after}
        return Reread(_records(statements), tuple(held.holders), held.done, last)

    async def statements(self, scope: Scope, position: Any | None) -> Reread:
        """Read a window of the statements that could match; `position` is the last `_id` of the one before.

        Statements whose `_id` is no ObjectId are left out: they are none of Learning Locker's. So the first window
        begins at an ObjectId, too: `$gt` sees only ids of the position's own type, and numbers and texts come first.
        """
        beyond = {"$gt": position} if position else {"$gte": FIRST}
        with translated():
            last = await self._statements.find_one(
                {"_id": beyond}, {"_id": 1}, sort=[("_id", 1)], skip=self._window - 1
            )
            within = beyond | ({"$lte": last["_id"]} if last else {})
            query = {"_id": within, **candidates(scope.rules)}
            # By id: an index of the whole organisation would be gone through for every window.
            found = await self._statements.find(query, hint=BY_ID).to_list()
        return Reread(_records(found), None, self._window, last["_id"] if last else None)


def candidates(rules: JourneyRules) -> Document:
    """Return the query for the statements that could match; the verdict is the compiled conditions'."""
    query: Document = {"organisation": rules.organisation, "voided": {"$ne": True}}
    if rules.sources:
        query["lrs_id"] = {"$in": list(rules.sources)}
    return {**query, **any_of([narrowed(waypoint.conditions) for waypoint in rules.active_waypoints.values()])}


def _documents_of(scope: Scope) -> dict[str, ObjectId]:
    mine = {"organisation": scope.rules.organisation, "journey": scope.rules.id}
    return mine | ({"_id": scope.only} if scope.only else {})


def _records(documents: Iterable[Mapping[str, Any]]) -> tuple[StatementRecord, ...]:
    """Read statement documents; what the stream would not take is passed over, as if it were not there."""
    return tuple(record for document in documents if (record := stored_statement(document)) is not None)
