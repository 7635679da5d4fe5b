"""What stands in MongoDB, but is none of ours, or was edited by hand: it must not end the process."""

from typing import Any

import bson
import pytest
from bson import Binary, ObjectId
from bson.datetime_ms import DatetimeMS
from bson.errors import InvalidBSON
from bson.raw_bson import RawBSONDocument
from msgspec.structs import replace
from structlog.testing import capture_logs

from processor.clock import SystemClock
from processor.core.evidence import Retraction
from processor.core.identity import Identification
from processor.core.index import JourneyIndex, index_journeys
from processor.core.journey import compile_journey
from processor.core.matching import match
from processor.core.rereading import Scope, evidence_of
from processor.errors import DocumentBroken, DocumentFull, InvalidInput
from processor.store.connect import JOURNEYS, PROGRESSES, STATEMENTS, Database
from processor.store.history import MongoHistory
from processor.store.journeys import MongoJourneyCatalog
from processor.store.progress import MongoProgressStore
from processor.store.queries import MongoQueryReader
from processor.store.reader import MongoProgressReader
from processor.store.replays import MongoReplayStore
from tests.builders import JOURNEY, ORGANISATION, WAYPOINTS, a_journey, a_reference, an_append, an_item, at
from tests.contract.test_history import RULES, every, references
from tests.contract.test_journey_catalog import heard
from tests.contract.test_store_plans import plans, profiled
from tests.simulation.recalculating import a_stored, a_waypoint, the_journey

THEIRS: dict[str, Any] = {
    "_id": ObjectId("000000000000000000000001"),
    "journey": JOURNEY,
    "organisation": ORGANISATION,
    "completions": [],
    "pendingProgress": {},
}
"""A document of Learning Locker's own, which stands before all others."""


async def test_statements_whose_id_is_no_object_id_hide_none_behind_them(mongo_database: Database) -> None:
    strange = [*range(5), *"abcde", {"a": 1}, Binary(b"1"), True, at(0)]
    stored = [a_stored(number, "a") for number in range(1, 6)]
    await mongo_database[STATEMENTS].insert_many([*({**stored[0], "_id": it} for it in strange), *stored])
    chunks = await every(MongoHistory(mongo_database, window=2).statements, Scope(RULES))
    assert references(chunks) == {a_reference(number) for number in range(1, 6)}
    assert len(chunks) == 3


async def test_progress_of_learning_lockers_is_passed_over(mongo_database: Database) -> None:
    append = an_append(an_item(1))
    await MongoProgressStore(mongo_database).append([append], [], at(0))
    await mongo_database[PROGRESSES].insert_one(THEIRS)
    history = MongoHistory(mongo_database, documents=2)
    assert [it["_id"] for it in (await history.evidence(Scope(RULES), None)).holders or ()] == [append.progress]
    assert (await history.evidence(Scope(RULES, only=THEIRS["_id"]), None)).holders == ()
    found = [it async for it in MongoReplayStore(mongo_database).holders(JOURNEY, [append.progress, THEIRS["_id"]])]
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


BEYOND = DatetimeMS(8_640_000_000_000_000)
BEFORE = DatetimeMS(-(10**17))
"""Instants that MongoDB holds, and Python does not: one date of the kind must not end a process."""

OPERATORS: list[Any] = [
    {"$gte": at(0)},
    {"$lt": at(0)},
    {"$in": [1, [at(0)], None]},
    {"$not": {"$gt": {"a": at(0)}}},
    {"$elemMatch": {"$lt": at(0)}},
    {"$all": [at(0)]},
    {"$regex": "x"},
    [at(0)],
    {"a": at(0)},
    {"$type": "date"},
    {"$mod": [2, 0]},
    {"$size": 1},
]


async def test_a_statement_without_a_possible_time_is_left_out(mongo_database: Database) -> None:
    await mongo_database[STATEMENTS].insert_many(
        [a_stored(1, "a", timestamp=BEYOND), a_stored(2, "a", stored=BEFORE), a_stored(3, "a")]
    )
    evidence = [an_item(number) for number in (1, 2, 3)]
    await MongoProgressStore(mongo_database).append([an_append(*evidence)], [], at(0))
    history = MongoHistory(mongo_database)
    for read in (await history.statements(Scope(RULES), None), await history.evidence(Scope(RULES), None)):
        assert [record.reference for record in read.statements] == [a_reference(3)]


@pytest.mark.parametrize("asked", OPERATORS, ids=str)
async def test_such_a_date_within_a_statement_is_compared_with_anything(mongo_database: Database, asked: Any) -> None:
    stored = a_stored(1, "a", odd=BEYOND, odds=[BEYOND, {"a": BEFORE}])
    stored["statement"]["context"] = {"extensions": {"http://example&46;org/x": BEFORE}}
    await mongo_database[STATEMENTS].insert_one(stored)
    paths = ("odd", "odds", "odds.a", "statement.context.extensions.http://example&46;org/x")
    waypoints = [
        {**a_waypoint(number, "a"), "conditions": {path: asked, "statement.verb.id": "http://example.org/a"}}
        for number, path in enumerate(paths)
    ]
    rules = compile_journey(the_journey(a_waypoint(4, "a"), *waypoints))
    read = await MongoHistory(mongo_database).statements(Scope(rules), None)
    matched = match(read.statements, JourneyIndex([rules]), Identification())
    assert matched.rejected == []
    [append] = matched.appends
    assert WAYPOINTS[4] in append.items


async def test_progress_with_such_a_date_is_read(mongo_database: Database) -> None:
    append = an_append(an_item(1))
    await MongoProgressStore(mongo_database).append([append], [], at(0))
    timestamp = f"pendingProgress.{WAYPOINTS[0]}.statements.0.timestamp"
    await mongo_database[PROGRESSES].update_one({}, {"$set": {"createdAt": BEFORE, timestamp: BEYOND}})
    [shown] = [it async for it in MongoProgressReader(mongo_database).find()]
    assert shown["createdAt"] == BEFORE
    [held] = (await MongoHistory(mongo_database).evidence(Scope(RULES), None)).holders or ()
    [also] = [it async for it in MongoReplayStore(mongo_database).holders(JOURNEY, [append.progress])]
    assert list(evidence_of(held)) == list(evidence_of(also)) == [(WAYPOINTS[0], a_reference(1))]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"createdAt": BEYOND}, "createdAt: "),
        ({"waypoints": [{**a_waypoint(0, "a"), "conditions": {"stored": {"$gt": BEFORE}}}]}, "waypoints[0].conditions"),
        ({"outcomes": [{"deactivatedAt": BEYOND}]}, "outcomes[0].deactivatedAt"),
        ({"colour": {"of": [BEYOND]}}, None),
        ({"recalculateStatus": {"recalculatedAt": BEYOND}}, None),
    ],
    ids=["a date", "conditions", "an outcome", "unknown", "status"],
)
async def test_a_journey_with_such_a_date_is_heard_of_and_loaded_or_set_aside_alone(
    mongo_database: Database, changes: dict[str, Any], fault: str | None
) -> None:
    catalog = MongoJourneyCatalog(mongo_database, poll=3600)
    await catalog.load()
    fine = ObjectId()
    await mongo_database[JOURNEYS].insert_many([{**the_journey(a_waypoint(0, "a")), **changes}, a_journey(_id=fine)])
    assert await heard(catalog)
    index, _ = index_journeys(await catalog.load(), {})
    assert fine in index.journeys
    assert (JOURNEY in index.journeys) == (fault is None)
    assert (fault or "") in index.broken.get(JOURNEY, "")


async def test_text_that_is_not_utf_8_ends_nothing(mongo_database: Database) -> None:
    def broken(document: dict[str, Any]) -> Any:
        return RawBSONDocument(bson.encode({**document, "odd": "text"}).replace(b"text", b"te\xfft"))

    await mongo_database[STATEMENTS].insert_one(broken(a_stored(1, "a")))
    await mongo_database[JOURNEYS].insert_one(broken(the_journey(a_waypoint(0, "a"))))
    [record] = (await MongoHistory(mongo_database).statements(Scope(RULES), None)).statements
    assert record.document["odd"] == "te\N{REPLACEMENT CHARACTER}t"
    catalog = MongoJourneyCatalog(mongo_database, poll=3600)
    index, _ = index_journeys(await catalog.load(), {})
    assert list(index.journeys) == [JOURNEY]


async def test_what_cannot_be_read_is_not_the_callers_fault(mongo_database: Database) -> None:
    reader = MongoQueryReader(mongo_database, 1, SystemClock())
    with pytest.raises(InvalidBSON), reader._asked():
        raise InvalidBSON("not a document")
    with pytest.raises(InvalidInput), reader._asked():
        bson.encode({"a": object()})


async def test_a_lease_without_a_possible_end_is_listed_last(mongo_database: Database) -> None:
    store = MongoProgressStore(mongo_database)
    await store.append([an_append(owner=owner) for owner in ("ana", "ben")], [], at(0))
    await store.claim("key", at(1), at(61), 2)
    ana = an_append(owner="ana").progress
    await mongo_database[PROGRESSES].update_one({"_id": ana}, {"$set": {"processing.lease": BEYOND}})
    assert [lock.progress for lock in await store.locks(10)] == [an_append(owner="ben").progress, ana]


@pytest.mark.parametrize(
    "edited", [{"processing": None}, {"pendingProgress": None}, {f"pendingProgress.{WAYPOINTS[0]}": 1}]
)
async def test_i1_a_document_that_takes_no_evidence_is_named_and_waited_for_and_the_others_land(
    mongo_database: Database, edited: dict[str, Any]
) -> None:
    store = MongoProgressStore(mongo_database)
    broken, good = an_append(an_item(1)), an_append(an_item(1), owner="ben")
    await store.append([broken], [], at(0))
    whole = await mongo_database[PROGRESSES].find_one({})
    await mongo_database[PROGRESSES].update_one({}, {"$set": edited})
    with pytest.raises(DocumentBroken, match=str(broken.progress)):
        await store.append([broken, good], [], at(1))
    assert await mongo_database[PROGRESSES].find_one({"_id": good.progress})
    await mongo_database[PROGRESSES].replace_one({"_id": broken.progress}, whole or {})
    await store.append([broken, good], [], at(2))


async def test_a_recalculation_sets_it_aside_and_goes_on_with_the_others(mongo_database: Database) -> None:
    store = MongoReplayStore(mongo_database)
    broken, good = (replace(an_append(an_item(1), owner=it), replay="chunk") for it in ("ana", "ben"))
    await store.append([broken, good], [], at(0))
    await mongo_database[PROGRESSES].update_one({"_id": broken.progress}, {"$set": {"processing.replay": None}})
    retractions = [Retraction(it.progress, 1, {WAYPOINTS[0]: (a_reference(1),)}, "other") for it in (broken, good)]
    with capture_logs() as logs:
        await store.retract(retractions)
        await store.append([replace(it, replay="later") for it in (broken, good)], [], at(1))
    assert [str(broken.progress) in it["error"] for it in logs] == [True, True]
    left = await mongo_database[PROGRESSES].find_one({"_id": good.progress})
    assert [it["key"] for it in (left or {})["processing"]["replay"]] == ["chunk", "other", "later"]


async def test_one_that_takes_none_and_one_that_is_full_are_both_waited_for(mongo_database: Database) -> None:
    store = MongoProgressStore(mongo_database)
    broken, full = an_append(an_item(1)), an_append(an_item(1), owner="ben")
    await store.append([broken, full], [], at(0))
    await mongo_database[PROGRESSES].update_one({"_id": broken.progress}, {"$set": {"processing": None}})
    await mongo_database[PROGRESSES].update_one({"_id": full.progress}, {"$set": {"padding": bytes(16_776_000)}})
    more = [replace(it, items={WAYPOINTS[0]: tuple(map(an_item, range(500)))}) for it in (broken, full)]
    with pytest.raises(DocumentFull):
        await store.append(more, [], at(1))
    with pytest.raises(DocumentFull):  # a recalculation has the full one folded, and meets only the broken one then
        await MongoReplayStore(mongo_database).append([replace(it, replay="chunk") for it in more], [], at(2))
    due = mongo_database[PROGRESSES].find({"processing.due": {"$exists": True}}, {"_id": 1})
    assert [it["_id"] async for it in due] == [full.progress]
