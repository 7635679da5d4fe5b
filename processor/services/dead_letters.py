"""Replay: chosen dead letters back to the statements topic, each record once, as it was.

Doing it twice is harmless: evidence is a set (I2), and what still cannot be used is parked again (I3).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from processor.core.letters import DeadLetter, Selection
from processor.services.publishing import CHUNK_BYTES, telling_how_many

CHUNK_RECORDS = 1_000
CHUNKS_PER_SECOND = 10
"""Into how many chunks a second's worth of records is cut, so that a rate is kept evenly."""


class Original(Protocol):
    """A record as it was."""

    @property
    def value(self) -> bytes | None:
        """Its value."""


Sent = TypeVar("Sent", bound=Original)


@dataclass(slots=True)
class Replayed:
    """What a replay came to: letters chosen, by reason; records in them; of these published, and gone for good.

    `refused` says of records that the broker does not take, by their place, why.
    """

    letters: Counter[str] = field(default_factory=Counter)
    records: int = 0
    published: int = 0
    gone: int = 0
    refused: dict[str, str] = field(default_factory=dict)


async def replay(
    letters: AsyncIterator[DeadLetter],
    selection: Selection,
    find: Callable[[DeadLetter], Awaitable[Sent | None]],
    publish: Callable[[Sequence[Sent]], Awaitable[Sequence[str | None]]],
    rate: float | None = None,
) -> Replayed:
    """Publish the record behind each chosen letter, once however many letters it has, at most `rate` a second.

    `find` returns the record as it was, or None when it is gone; `publish` returns once all are acknowledged, and for
    each None, or why it was refused. To a `BrokerUnavailable` or `Misfit` of either, how many were
    published before is added.
    """
    outcome = Replayed()
    chunk: list[tuple[DeadLetter, Sent]] = []
    size = 0
    pace = _Pace(rate)
    with telling_how_many(lambda: outcome.published):
        async for letter in _once(letters, selection, outcome):
            original = await find(letter)
            if original is None:
                outcome.gone += 1
                continue
            chunk.append((letter, original))
            size += len(original.value or b"")
            if len(chunk) >= pace.chunk or size >= CHUNK_BYTES:
                await _publish(chunk, publish, outcome)
                await pace.keep(len(chunk))
                chunk, size = [], 0
        if chunk:
            await _publish(chunk, publish, outcome)
    return outcome


async def _publish(
    chunk: Sequence[tuple[DeadLetter, Sent]],
    publish: Callable[[Sequence[Sent]], Awaitable[Sequence[str | None]]],
    outcome: Replayed,
) -> None:
    refusals = await publish([original for _, original in chunk])
    refused = {str(letter.origin): why for (letter, _), why in zip(chunk, refusals, strict=True) if why}
    outcome.refused |= refused
    outcome.published += len(chunk) - len(refused)


async def _once(
    letters: AsyncIterator[DeadLetter], selection: Selection, outcome: Replayed
) -> AsyncIterator[DeadLetter]:
    """Yield one letter of each chosen record: an array leaves one for each bad item, a repeated parking another.

    Of equal records too, or what stays bad would be twice as much after each replay.
    """
    seen: set[bytes] = set()
    async for letter in letters:
        if letter.origin is None or not selection.takes(letter):
            continue
        outcome.letters[letter.reason] += 1
        known = {letter.identity, letter.likeness}
        if seen.isdisjoint(known):
            outcome.records += 1
            yield letter
        seen |= known


class _Pace:
    """Lets no more than `rate` records a second through, None: as many as come."""

    def __init__(self, rate: float | None) -> None:
        self.chunk = CHUNK_RECORDS if rate is None else max(1, min(CHUNK_RECORDS, int(rate / CHUNKS_PER_SECOND)))
        self._rate = rate
        self._next = asyncio.get_running_loop().time()

    async def keep(self, sent: int) -> None:
        if self._rate is None:
            return
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now - 1) + sent / self._rate
        await asyncio.sleep(self._next - now)
