"""What stands in MongoDB, but is none of ours, or was edited by hand: it must not end the process."""

from typing import Any

from bson import ObjectId

from processor.core.rereading import Scope, evidence_of
from processor.store.connect import PROGRESSES, STATEMENTS, Database
from processor.store.history import MongoHistory
from processor.store.progress import MongoProgressStore
from processor.store.reader import MongoProgressReader
from processor.store.replays import MongoReplayStore
from tests.builders import JOURNEY, ORGANISATION, WAYPOINTS, a_reference, an_append, an_item, at
from tests.contract.test_history import RULES
from tests.contract.test_store_plans import plans, profiled
from tests.simulation.recalculating import a_stored

THEIRS: dict[str, Any] = {
    "_id": ObjectId("000000000000000000000001"),
    "journey": JOURNEY,
    "organisation": ORGANISATION,
    "completions": [],
    "pendingProgress": {},
}
"""A document of Learning Locker's own, which stands before all others."""


async def test_progress_of_learning_lockers_is_passed_over(mongo_database: Database) -> None:
    append = an_append(an_item(1))
    await MongoProgressStore(mongo_database).append([append], [], at(0))
    await mongo_database[PROGRESSES].insert_one(THEIRS)
    history = MongoHistory(mongo_database, documents=2)
    assert [it["_id"] for it in (await history.evidence(Scope(RULES), None)).holders or ()] == [append.progress]
    assert (await history.evidence(Scope(RULES, only=THEIRS["_id"]), None)).holders == ()
    found = await MongoReplayStore(mongo_database).holders(JOURNEY, [append.progress, THEIRS["_id"]])
    assert [it["_id"] for it in found] == [append.progress]
    shown = [it["_id"] async for it in MongoProgressReader(mongo_database).find()]
    assert shown == [append.progress]
    operations = await profiled(mongo_database, history.evidence(Scope(RULES), None), PROGRESSES)
    assert plans(operations) == ["IXSCAN { organisation: 1, journey: 1, _id: 1 }"]


async def test_what_one_broken_document_holds_is_passed_over_and_the_others_are_read(mongo_database: Database) -> None:
    """`Rereading` tells of it when it judges the document."""
    appends = [an_append(an_item(number), owner=owner) for number, owner in enumerate(("ana", "ben"), start=1)]
    await MongoProgressStore(mongo_database).append(appends, [], at(0))
    broken = {"$set": {f"pendingProgress.{WAYPOINTS[0]}": None}}
    await mongo_database[PROGRESSES].update_one({"_id": appends[0].progress}, broken)
    await mongo_database[STATEMENTS].insert_many([a_stored(1, "a"), a_stored(2, "a", "ben")])
    read = await MongoHistory(mongo_database).evidence(Scope(RULES), None)
    assert [record.reference for record in read.statements] == [a_reference(2)]
    holders = {it["_id"]: it for it in read.holders or ()}
    assert list(evidence_of(holders[appends[1].progress])) == [(WAYPOINTS[0], a_reference(2))]
    assert len(holders) == 2
