"""Records to evidence, no more of each than is needed (`core/glance.py`, `core/sighting.py`, `core/decode.py`).

Most of a stream matches nothing: that is told at a glance. What may match is sighted, what is not plain is read whole.
Where nearly all matches, a glance before would only be work done twice, and is left out most of the time. I3: whichever
way it is read, what is bad is told.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from processor.core.decode import Tenancy, decode
from processor.core.identity import Identification
from processor.core.index import JourneyIndex, Match
from processor.core.letters import condensed
from processor.core.matching import Matched, match
from processor.core.records import Batch, Record, Rejected, StatementRecord
from processor.core.shelves import Held
from processor.core.sighting import Sighting, sighted, sighted_at_once
from processor.services.finished import Finished
from processor.services.surroundings import Surroundings

MOSTLY: Final = 0.8
"""The part of a stride that has to match for the next ones to be sighted at once: with less, to glance is cheaper."""

AT_ONCE: Final = 7
"""Strides that are sighted at once before one is glanced at again, which also tells whose statements change nothing."""

Found = tuple[int, Sighting | None]
"""The position of a record that has to be looked at, and what was sighted in it; None if it is to be read whole."""

_POSITION: Final = itemgetter(0)


@dataclass(frozen=True, slots=True)
class ReadingPolicy:
    """What statements without a tenant belong to, how actors are told apart, and how much is read together.

    `stride` is how many records are glanced at before those among them that may match are read. `piece` is how many at
    most are read together: enough to make a round trip cheap, few enough to be written while the next are read.
    """

    tenancy: Tenancy = field(default_factory=Tenancy)
    identification: Identification = field(default_factory=Identification)
    stride: int = 1_000
    piece: int = 500


@dataclass(slots=True)
class Read:
    """What some records come to: how many had to be looked at, and the statements in them; `rejected` by all stages."""

    records: int = 0
    statements: int = 0
    matched: Matched = field(default_factory=Matched)
    rejected: list[Rejected] = field(default_factory=list)

    def add(self, other: "Read") -> None:
        """Add what the next records come to."""
        self.records += other.records
        self.statements += other.statements
        self.matched.add(other.matched)
        self.rejected += other.rejected


class Reading:
    """Of one process. What it has seen of the stream decides how it reads on, never what comes of it."""

    def __init__(self, policy: ReadingPolicy, finished: Finished | None, surroundings: Surroundings) -> None:
        self._policy = policy
        self._finished = finished
        self._around = surroundings
        self._left_at_once = 0

    def pieces(self, batch: Batch, index: JourneyIndex) -> Iterator[Read]:
        """Read a batch and match what it holds, a piece at a time: the first long before the last are looked at."""
        for start in range(0, len(batch.values), self._policy.stride):
            values = batch.values[start : start + self._policy.stride]
            if self._left_at_once and index.glance.is_told_by_plain:
                pieces = self._sighted_at_once(values, index)
            else:
                pieces = self._glanced_at(values, index)
            for piece in pieces:
                yield self._read(batch, start, piece, index)

    def _glanced_at(self, values: Sequence[bytes | None], index: JourneyIndex) -> Iterator[Sequence[Found]]:
        held, matching = self._glance(values, index), 0
        for first in range(0, len(held), self._policy.piece):
            some = held[first : first + self._policy.piece]
            sightings = sighted(values, some)
            matching += sum(1 for it in sightings if it and it.matches)
            yield [(position, sighting) for (position, _), sighting in zip(some, sightings, strict=True)]
        self._left_at_once = AT_ONCE if matching >= MOSTLY * len(values) else 0

    def _sighted_at_once(self, values: Sequence[bytes | None], index: JourneyIndex) -> Iterator[Sequence[Found]]:
        matching = 0
        for first in range(0, len(values), self._policy.piece):
            sightings = list(
                enumerate(sighted_at_once(values[first : first + self._policy.piece], index.glance), first)
            )
            found: list[Found] = [(position, it) for position, it in sightings if it and it.matches]
            matching += len(found)
            others = [position for position, it in sightings if it is None]
            held = self._glance([values[it] for it in others], index) if others else ()
            yield sorted([*found, *((others[it], None) for it, _ in held)], key=_POSITION) if held else found
        self._left_at_once = self._left_at_once - 1 if matching >= MOSTLY * len(values) else 0

    def _glance(self, values: Sequence[bytes | None], index: JourneyIndex) -> Sequence[Held[Match]]:
        if self._finished is None:
            return index.glance.unsettled(values)
        before = self._finished.left_out
        unsettled = index.glance.unsettled(values, self._finished.leaving_out(self._around.clock.now()))
        self._around.metrics.passed_over.inc(self._finished.left_out - before)
        return unsettled

    def _read(self, batch: Batch, start: int, found: Sequence[Found], index: JourneyIndex) -> Read:
        """Match what was sighted, and what the others hold, which are read whole."""
        statements: list[StatementRecord | Sighting] = []
        rejected: list[Rejected] = []
        for position, sighting in found:
            if sighting:
                statements.append(sighting)
                continue
            good, bad = self._decode(batch.records[start + position])
            statements += good
            rejected += condensed(bad)
        matched = match(statements, index, self._policy.identification)
        return Read(len(found), len(statements), matched, condensed(rejected + matched.rejected))

    def _decode(self, record: Record) -> tuple[list[StatementRecord], list[Rejected]]:
        statements: list[StatementRecord] = []
        rejected: list[Rejected] = []
        for decoded in decode(record, self._policy.tenancy):
            if isinstance(decoded, Rejected):
                rejected.append(decoded)
            else:
                statements.append(decoded)
        return statements, rejected
