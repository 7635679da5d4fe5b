"""What the store contracts are asked through: two stores on the same documents, and a look at these."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from processor.core.evidence import Append
from processor.core.relaying import Account
from processor.ports.progress import ProgressReader, ProgressStore, RelayLease
from tests.builders import WAYPOINTS, a_promotion, an_append, an_item, at

RELAY = ObjectId("6a0000000000000000000001")


def a_lease(number: int = 1, until: float = 60) -> RelayLease:
    """A lease under which outboxes are handed to the one relay of these tests."""
    return RelayLease(RELAY, number, at(until))


@dataclass(frozen=True, slots=True)
class Both:
    """Two workers' views of one database, MongoDB's or the one in memory."""

    store: ProgressStore
    other: ProgressStore
    reader: ProgressReader
    statements: Callable[[], Awaitable[list[Mapping[str, Any]]]]

    async def only(self) -> Mapping[str, Any]:
        [document] = await self.all()
        return document

    async def all(self) -> list[Mapping[str, Any]]:
        return [document async for document in self.reader.find(limit=10_000)]

    async def append(self, *appends: Append, at_second: float = 0) -> None:
        await self.store.append(appends, [], at(at_second))

    async def account(
        self, last: int, at_second: float, *, busy: Collection[int] = (), left: Collection[int] = (), until: float = 60
    ) -> None:
        """Let the relay tell what it has published of its numbers."""
        account = Account(RELAY, last, frozenset(busy), frozenset(left))
        await self.store.keep_account(account, at(at_second), at(until))

    async def promoted(self, number: int, owner: str = "ana") -> ObjectId:
        """Append and promote item `number`, so that revision `number` waits in the outbox; return the progress id."""
        append = an_append(an_item(number), owner=owner)
        await self.append(append, at_second=number)
        claim = await self.store.claim(f"promote-{owner}-{number}", at(number + 1), at(number + 61), 10)
        [document] = [it for it in claim.documents if it["_id"] == append.progress]
        applied = await self.store.apply(claim, [a_promotion(document, an_item(number))], at(number + 2))
        assert applied.landed == 1
        return append.progress


def pending(document: Mapping[str, Any], waypoint: str = WAYPOINTS[0]) -> list[ObjectId]:
    return [entry["statement"] for entry in document["pendingProgress"][waypoint]["statements"]]
