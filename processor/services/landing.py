"""The evidence of one batch on its way to the store, piece by piece: the next is read while others are written.

So is what comes meanwhile: the batch grows by it (`ingest.py`).
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from bson import ObjectId
from msgspec.structs import replace

from processor.core.evidence import Append, Item, each_once
from processor.core.matching import Matched
from processor.core.records import StatementRecord
from processor.ports.progress import Evidence
from processor.ports.stream import Clock

TURNS = 8
"""Turns of the event loop after each piece: what is sent or has come takes several, from a socket to who waits."""


class Landing:
    """One batch's. Nothing is durable before `settle` has returned (I1).

    A write takes `least` documents and bare statements, as pieces count them, or, once the batch is read, what there is
    when nothing is under way. What an earlier write has evidence for too waits until then, and goes in one write: two
    at once would only be in each other's way. `appended` is set when a document waits for a promoter.
    """

    def __init__(self, store: Evidence, clock: Clock, appended: asyncio.Event, least: int = 1) -> None:
        self._store = store
        self._clock = clock
        self._appended = appended
        self._least = least
        self._writing: list[asyncio.Task[None]] = []
        self._begun: set[ObjectId] = set()
        self._next: list[Append] = []
        self._kept: list[StatementRecord] = []
        self._later: list[Append] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind that still writes: what was not settled comes again.

        What is under way is only given up by who is given up: else its first events would wait for a lease to run out.
        """
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            for task in self._writing:
                task.cancel()
        await asyncio.gather(*self._writing, return_exceptions=True)

    async def take(self, matched: Matched) -> None:
        """Take a piece, and begin to write when there is enough; then the other loops get their turns."""
        self._next += [append for append in matched.appends if append.progress not in self._begun]
        self._later += [append for append in matched.appends if append.progress in self._begun]
        self._kept += matched.kept
        if len(self._next) + len(self._kept) >= self._least:
            self._write()
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def go_on(self) -> "asyncio.Future[Any] | None":
        """Write all that waits, if nothing is under way; return what is done when all that is under way is.

        None when all is durable. Raises what a write has raised.
        """
        done = [task for task in self._writing if task.done()]
        for task in done:
            task.result()
        if len(done) == len(self._writing):
            self._writing.clear()
            self._begun.clear()
            self._next, self._later = self._next + self._later, []
            self._write()
        return asyncio.gather(*self._writing, return_exceptions=True) if self._writing else None

    async def settle(self) -> None:
        """Wait until all is durable. Raises what a write has raised."""
        self._write()
        while under_way := self.go_on():
            await asyncio.wait([under_way])

    def _write(self) -> None:
        appends, kept = joined(self._next), self._kept
        self._next, self._kept = [], []
        self._begun.update(append.progress for append in appends)
        if appends or kept:
            self._writing.append(asyncio.create_task(self._append(appends, kept)))

    async def _append(self, appends: Sequence[Append], kept: Sequence[StatementRecord]) -> None:
        if await self._store.append(appends, kept, self._clock.now()):
            self._appended.set()


def joined(appends: Sequence[Append]) -> Sequence[Append]:
    """Return one append for each document, with the items of all; they are of one snapshot of the journeys."""
    if len({append.progress for append in appends}) == len(appends):
        return appends
    found: dict[ObjectId, Append] = {}
    for append in appends:
        known = found.get(append.progress)
        items: dict[str, tuple[Item, ...]] = dict(known.items) if known else {}
        for waypoint, more in append.items.items():
            items[waypoint] = each_once((*items.get(waypoint, ()), *more))
        found[append.progress] = replace(known or append, items=items)
    return list(found.values())
