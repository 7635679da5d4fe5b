"""Documents stay small, whatever one learner does: on a real mongod, with the real promoter."""

from collections.abc import Sequence
from datetime import timedelta

import bson
import pytest
from bson import ObjectId
from msgspec.structs import replace

from processor.clock import SystemClock
from processor.core.completions import items_to
from processor.core.evidence import Item
from processor.core.identity import Identification
from processor.core.journey import compile_journey
from processor.core.policy import PENDING_BYTES, FoldingPolicy
from processor.core.promotion import OUTBOX_BYTES
from processor.core.rereading import Scope, evidence_of
from processor.core.spilling import STATEMENT_BYTES
from processor.errors import DocumentFull
from processor.metrics import Metrics
from processor.services.handover import Handover
from processor.services.journeys import Journeys
from processor.services.promoter import Promoter
from processor.services.promoting import Promoting
from processor.services.recalculation import Rereading
from processor.services.surroundings import Leasing, Surroundings
from processor.store.connect import ATTEMPTS, JOURNEYS, PROGRESSES, STATEMENTS, Database
from processor.store.history import MongoHistory
from processor.store.journeys import MongoJourneyCatalog
from processor.store.progress import MongoProgressStore
from processor.store.reader import MongoProgressReader
from processor.store.replays import MongoReplayStore
from tests.builders import JOURNEY, WAYPOINTS, a_journey, an_append, at

LIMIT = 8_192
FULL = 16_777_216


def a_repeatable_journey() -> dict[str, object]:
    waypoint = {"_id": ObjectId(WAYPOINTS[0]), "isActive": True, "conditions": {"statement.verb.id": "x"}, "count": 1}
    return a_journey(_id=JOURNEY, isRepeatable=True, waypoints=[waypoint])


def a_scope() -> Scope:
    return Scope(compile_journey(a_repeatable_journey()))


def items(*numbers: int) -> list[Item]:
    return [Item(ObjectId((number + 1).to_bytes(12)), at(number)) for number in numbers]


class Learner:
    """One learner of a repeatable journey, whose every statement completes an attempt."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = MongoProgressStore(database)
        self.metrics = Metrics()
        around = Surroundings(SystemClock(), self.metrics)
        self.journeys = Journeys(MongoJourneyCatalog(database, poll=10), around)
        policy = FoldingPolicy(document_bytes=LIMIT, lateness_horizon=timedelta(days=3650))
        leasing = Leasing(timedelta(seconds=60))
        self.promoter = Promoter(
            Promoting(self.store, self.journeys, policy, around, leasing, Handover(leasing, room=0))
        )

    async def does(self, evidence: Sequence[Item]) -> None:
        await self.store.append([an_append(*evidence)], [], at(0))
        assert await self.promoter.step() == 1

    async def stored(self) -> dict[str, object]:
        [document] = await self.database[PROGRESSES].find().to_list()
        return document

    async def attempts(self) -> int:
        progress = an_append().progress
        [document] = [document async for document in MongoProgressReader(self.database).find(identity=progress)]
        return len(document["completions"])

    async def relayed(self) -> None:
        """What a relay leaves."""
        await self.database[PROGRESSES].update_many(
            {}, {"$set": {"processing.outbox": []}, "$unset": {"processing.publish": ""}}
        )


@pytest.fixture
async def learner(mongo_database: Database) -> Learner:
    await mongo_database[JOURNEYS].insert_one(a_repeatable_journey())
    return await a_learner(mongo_database)


async def a_learner(database: Database) -> Learner:
    made = Learner(database)
    await made.journeys.refresh()
    return made


async def test_f1_a_document_of_a_thousand_attempts_stays_small_and_late_evidence_still_counts(
    learner: Learner,
) -> None:
    for first in range(0, 1_000, 20):
        await learner.does(items(*range(first, first + 20)))
        await learner.relayed()
    segments = await learner.database[ATTEMPTS].count_documents({})
    small = LIMIT + 160 * segments + 1_024
    assert len(bson.encode(await learner.stored())) < small
    assert await learner.attempts() == 1_000
    await learner.does(items(*range(0, 1_000, 50)))  # delivered again
    assert await learner.database[ATTEMPTS].count_documents({}) == segments

    await learner.does([Item(ObjectId(b"late evidenc"), at(10.5))])
    assert await learner.attempts() == 1_001
    assert len(bson.encode(await learner.stored())) < small + 100_000  # the event tells a thousand changes, once
    await learner.relayed()
    assert len(bson.encode(await learner.stored())) < small


async def test_a_recalculation_reads_what_has_left_a_document(learner: Learner) -> None:
    for first in range(0, 200, 20):
        await learner.does(items(*range(first, first + 20)))
    await learner.database[STATEMENTS].delete_many({})
    reread = await MongoHistory(learner.database).evidence(a_scope(), None)
    [holder] = reread.holders or ()
    assert len(set(evidence_of(holder))) == 200


async def test_a_document_without_one_of_its_segments_is_set_aside_alone(learner: Learner) -> None:
    for first in range(0, 200, 20):
        await learner.does(items(*range(first, first + 20)))
    await learner.store.append([an_append(*items(1), owner="ben")], [], at(0))
    await learner.database[ATTEMPTS].find_one_and_delete({})
    history, replays, scope = MongoHistory(learner.database), MongoReplayStore(learner.database), a_scope()
    rereading = Rereading(history, replays, Identification(), learner.metrics)
    read, retractions = await rereading.retractions(scope, None, "chunk")
    assert (len(read.holders or ()), retractions) == (2, [])
    assert learner.metrics.failed_promotions._value.get() == 1
    assert 0 < await learner.attempts() < 200  # what is left is shown


async def test_evidence_beyond_what_a_document_takes_waits_for_a_promoter_and_the_others_land(learner: Learner) -> None:
    await learner.does(items(0))
    progress = an_append(*items(0)).progress
    await learner.database[PROGRESSES].update_one({"_id": progress}, {"$set": {"padding": bytes(FULL - 20_000)}})
    appends = [an_append(*items(*range(1, 1_000))), an_append(*items(5), owner="ben")]
    with pytest.raises(DocumentFull, match=str(progress)):
        await learner.store.append(appends, [], at(0))
    assert await learner.database[PROGRESSES].count_documents({}) == 2
    await learner.database[PROGRESSES].update_one({"_id": progress}, {"$unset": {"padding": ""}})
    await learner.store.append(appends, [], at(0))
    assert await learner.promoter.step() >= 2


async def test_one_that_a_recalculation_has_filled_is_folded_before_its_end(learner: Learner) -> None:
    """Nobody else would make room, and the recalculation would wait for it for ever."""
    await learner.does(items(0))
    await learner.database[PROGRESSES].update_one({}, {"$set": {"padding": bytes(FULL - 20_000)}})
    found = [replace(an_append(*items(*range(1, 1_000))), replay="chunk")]
    with pytest.raises(DocumentFull):
        await MongoReplayStore(learner.database, learner.store).append(found, [], at(0))
    assert await learner.promoter.step() == 1


async def test_a_promotion_that_finds_no_room_waits_and_the_others_land(learner: Learner) -> None:
    appends = [an_append(*items(1)), an_append(*items(1), owner="ben")]
    await learner.store.append(appends, [], at(0))
    room = len(bson.encode(await learner.database[PROGRESSES].find_one({"_id": appends[0].progress}) or {})) + 300
    padding = {"$set": {"padding": bytes(FULL - room)}}
    await learner.database[PROGRESSES].update_one({"_id": appends[0].progress}, padding)
    assert await learner.promoter.step() == 2
    completed = [it["_id"] async for it in learner.database[PROGRESSES].find({"isCompleted": True})]
    assert completed == [appends[1].progress]


async def test_one_that_is_full_of_what_waits_is_folded_and_takes_more(learner: Learner) -> None:
    """However full: a promotion then adds less than it consumes, and who waits to append to it gets room."""
    await learner.does(items(0))
    pending = f"pendingProgress.{WAYPOINTS[0]}.statements"
    waiting = items_to(items(*range(1, PENDING_BYTES // STATEMENT_BYTES + 2)))
    await learner.database[PROGRESSES].update_one({}, {"$set": {pending: waiting, "processing.due": at(0)}})
    room = len(bson.encode(await learner.stored())) + 100
    await learner.database[PROGRESSES].update_one({}, {"$set": {"padding": bytes(FULL - room)}})
    with pytest.raises(DocumentFull):
        await learner.does(items(1_000_000, 1_000_001))
    assert await learner.promoter.step()
    assert await learner.attempts() == 1 + FoldingPolicy().pending_limit
    await learner.store.append([an_append(*items(1_000_000, 1_000_001))], [], at(0))


async def test_a_document_whose_events_nobody_publishes_is_not_promoted_until_somebody_does(learner: Learner) -> None:
    await learner.does(items(1))
    waiting = {"revision": 1, "time": at(0), "replay": False, "data": bytes(OUTBOX_BYTES + 1)}
    await learner.database[PROGRESSES].update_one({}, {"$set": {"processing.outbox": [waiting]}})
    await learner.does(items(2))
    assert await learner.attempts() == 1
    assert learner.metrics.registry.get_sample_value("journey_progress_held_back_total") == 1
    await learner.relayed()
    await learner.database[PROGRESSES].update_one({}, {"$set": {"processing.lease": at(0)}})
    assert await (await a_learner(learner.database)).promoter.step() == 1  # one that starts looks at all leases
    assert await learner.attempts() == 2


async def test_very_many_statements_that_wait_are_folded_some_at_a_time(learner: Learner) -> None:
    """However long promoters were away: no update takes longer than a lease."""
    limit = FoldingPolicy().pending_limit
    await learner.does(items(0))
    pending = {f"pendingProgress.{WAYPOINTS[0]}.statements": items_to(items(*range(1, 4 * limit)))}
    now = SystemClock().now()
    await learner.database[PROGRESSES].update_one({}, {"$set": pending | {"processing.due": now}})
    for folded in range(1, 5):
        assert await learner.promoter.step() >= 1
        assert await learner.attempts() == min(1 + folded * limit, 4 * limit)
    assert await learner.promoter.step() == 0
