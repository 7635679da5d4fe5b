"""The store in memory does what MongoDB's does, whatever two workers do in whatever order: the simulation rests on it.

Each example is a program of both workers' calls, run on either store; after each call both hold the same documents.
JOURNEY_PROGRESS_NIGHTLY=1 runs twenty times as many.
"""

import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from processor.core.beginning import begin
from processor.core.continuation import Continuation, go_on
from processor.core.evidence import Append
from processor.core.policy import FoldingPolicy
from processor.core.promotion import needed_version, promote
from processor.core.relaying import Account
from processor.ports.progress import Claim, OutboxClaim, ProgressReader, ProgressStore, RelayLease
from processor.store.connect import ATTEMPTS, PROGRESSES, STATEMENTS, Database
from processor.store.connect import RELAYS as RELAYS_KEPT
from processor.store.outbox import outbox_entry
from processor.store.progress import MongoProgressStore
from processor.store.reader import MongoProgressReader
from processor.testing.database import MemoryDatabase
from processor.testing.store import MemoryProgressStore
from tests.builders import JOURNEY, WAYPOINTS, an_append, an_item, at, journey_rules

PROGRESSES_ASKED = [an_append(owner="ana").progress]

TIMES = 20 if os.environ.get("JOURNEY_PROGRESS_NIGHTLY") else 1

POLICY = FoldingPolicy()
RULES = {1: journey_rules((0, 2), (1, 1)), 2: journey_rules((0, 2), (1, 1), (2, 1), version=2)}
OWNERS = ("ana", "ben")
LEASE = timedelta(seconds=5)
RELAYS = (ObjectId("6a0000000000000000000001"), ObjectId("6a0000000000000000000002"))

workers = st.integers(0, 1)
owners = st.sampled_from(OWNERS)
versions = st.sampled_from((1, 1, 2))
appends = st.builds(
    lambda owner, waypoint, number, version: an_append(
        an_item(number), owner=owner, waypoint=WAYPOINTS[waypoint], version=version
    ),
    owners,
    st.integers(0, 1),
    st.integers(1, 9),
    versions,
)
replays = appends.map(lambda it: replace(it, replay="chunk"))
WITH_EVIDENCE = ("append", "append", "begin", "begin", "read", "read", "read")
OTHERS = ("go_on", "go_on_held", "claim", "claim", "apply", "apply_held", "apply_held", "claim_events", "forget")
ACCOUNTS = ("account", "account_open", "account_left", "account_ended", "leave", "audit")
calls = st.one_of(
    st.tuples(st.sampled_from(WITH_EVIDENCE), workers, appends),
    st.tuples(st.sampled_from(OTHERS), workers, st.none()),
    st.tuples(st.sampled_from(OTHERS), workers, st.none()),
    st.tuples(st.sampled_from(ACCOUNTS), workers, st.none()),
    st.one_of(
        st.tuples(st.just("append"), workers, replays),
        st.tuples(st.sampled_from(("mark_due", "wait")), workers, st.none()),
    ),
)
Call = tuple[str, int, Append | None]

ANA = an_append(an_item(1))
AT_REST: list[Call] = [("begin", 0, ANA), ("account", 0, None)]
NEXT = an_append(an_item(2), waypoint=WAYPOINTS[1])
LATER = an_append(an_item(3), waypoint=WAYPOINTS[1])


@dataclass
class Worker:
    """What a worker has in hand: decided, not written yet; and its relay, with the numbers that it has given out."""

    relay: ObjectId

    continuations: list[Continuation] = field(default_factory=list)
    claim: Claim | None = None
    outboxes: OutboxClaim | None = None


@dataclass
class Side:
    """One of the two stores, and what is told of each call."""

    store: Callable[[], ProgressStore]
    reader: ProgressReader
    hands: Sequence[Worker] = field(default_factory=lambda: [Worker(relay) for relay in RELAYS])

    async def told(self, number: int, call: Call, now: datetime) -> object:
        """Make a call; return what it tells."""
        name, worker, append = call
        hand, store, key = self.hands[worker], self.store(), f"key-{number}"
        lease = RelayLease(hand.relay, number, now + LEASE) if name.endswith("held") else None
        if append and name == "append":
            return await store.append([append], [], now)
        if append and name == "begin":
            begun = begin(append, RULES[append.version], POLICY, key, now)
            return begun and await store.begin([begun], RelayLease(hand.relay, number, now + LEASE), now)
        if append and name == "read":
            documents = await store.at_rest([append.progress])
            found = [
                go_on(append, RULES[append.version], document, POLICY, key, now) for document in documents.values()
            ]
            hand.continuations = [it for it in found if it]
            return sorted(documents), [it.promotion for it in hand.continuations]
        if name in ("go_on", "go_on_held"):
            return await store.go_on(hand.continuations, key, lease, now)
        if name == "claim":
            hand.claim = await store.claim(key, now, now + LEASE, 10)
            return sorted(document["_id"] for document in hand.claim.documents)
        return await self._rest(name, hand, lease, key, now)

    async def _rest(self, name: str, hand: Worker, lease: RelayLease | None, key: str, now: datetime) -> object:
        store = self.store()
        if name in ("apply", "apply_held") and hand.claim:
            promotions = [promote(it, RULES[max(1, needed_version(it))], POLICY, now) for it in hand.claim.documents]
            applied = await store.apply(hand.claim, promotions, now, lease)
            return applied.landed, applied.fenced, applied.outboxes
        if name == "claim_events":
            hand.outboxes = await store.claim_events(key, now, now + LEASE, 10)
            return hand.outboxes.outboxes
        if name == "forget" and hand.outboxes:
            last = {progress: max((it.revision for it in box), default=0) for progress, box in _boxes(hand.outboxes)}
            await store.forget([(hand.outboxes, last)])
        if name.startswith("account"):
            return await self._account(name, hand.relay, int(key.removeprefix("key-")), now)
        if name == "leave":
            latest = int(key.removeprefix("key-"))
            for given in range(max(1, latest - 6), latest):
                await store.leave(hand.relay, given, PROGRESSES_ASKED, now)
        if name == "audit":
            await store.audit(now)
        if name == "mark_due":
            return await store.mark_due({JOURNEY: 2}, now)
        return None

    async def _account(self, name: str, relay: ObjectId, number: int, now: datetime) -> object:
        """Tell that all is published that was handed over; or not the last few numbers; or that no more is to come."""
        late = frozenset(range(max(1, number - 4), number))
        account = {
            "account_open": Account(relay, number, open=late),
            "account_left": Account(relay, number, left=late),
        }.get(name, Account(relay, number))
        await self.store().keep_account(account, now, None if name == "account_ended" else now + LEASE)
        store = self.store()
        return (await store.backlog(now)).outbox, await store.locks(10)

    async def documents(self) -> dict[ObjectId, dict[str, Any]]:
        return {it["_id"]: _comparable(it) async for it in self.reader.find()}


def _boxes(claim: OutboxClaim) -> Sequence[tuple[ObjectId, Sequence[Any]]]:
    return list(claim.outboxes.items())


def _comparable(document: Mapping[str, Any]) -> dict[str, Any]:
    """Empty lists are as good as none, and an event in memory as good as its entry."""
    processing = {key: value for key, value in document["processing"].items() if value != []}
    if "outbox" in processing:
        entries = [it if isinstance(it, dict) else outbox_entry(it) for it in processing["outbox"]]
        processing["outbox"] = [{**it, "data": bytes(it["data"])} for it in entries]
    return {**document, "processing": processing}


async def sides(database: Database) -> AsyncIterator[Side]:
    """Empty stores; each call has a store of its own, so that none remembers where the last look ended."""
    memory = MemoryDatabase()
    yield Side(lambda: MemoryProgressStore(memory), MemoryProgressStore(memory))
    for name in (PROGRESSES, STATEMENTS, ATTEMPTS, RELAYS_KEPT):
        await database[name].delete_many({})
    yield Side(lambda: MongoProgressStore(database), MongoProgressReader(database))


@settings(
    derandomize=TIMES == 1,
    database=None,
    deadline=None,
    max_examples=150 * TIMES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=st.lists(calls, min_size=5, max_size=40))
@example(program=[*AT_REST, ("read", 0, NEXT), ("append", 1, LATER), ("go_on", 0, None), ("claim", 1, None)])
@example(program=[*AT_REST, ("read", 0, NEXT), ("append", 1, replace(LATER, version=2)), ("go_on_held", 0, None)])
@example(program=[*AT_REST, ("read", 0, NEXT), ("append", 1, LATER), ("claim", 1, None), ("go_on", 0, None)])
@example(program=[*AT_REST, ("read", 0, NEXT), ("append", 1, NEXT), ("go_on", 0, None)])
@example(
    program=[("append", 0, NEXT), ("claim", 0, None), ("append", 1, LATER), ("apply", 0, None), ("apply", 0, None)]
)
@example(program=[*AT_REST, ("read", 0, NEXT), ("read", 1, LATER), ("go_on", 1, None), ("go_on_held", 0, None)])
async def test_the_store_in_memory_does_what_mongodb_does(program: list[Call], mongo_database: Database) -> None:
    memory, mongo = [it async for it in sides(mongo_database)]
    now = at(0)
    for number, call in enumerate(program):
        now += timedelta(seconds=6 if call[0] == "wait" else 0.01)
        assert await memory.told(number, call, now) == await mongo.told(number, call, now), (number, call)
        assert await memory.documents() == await mongo.documents(), (number, call)
