"""A process that starts far behind: does its memory stay flat until it has caught up?

`python -m tests.benchmarks.behind --records 10000000` fills a topic with small bare statements, starts the process, and
prints how far it is and what it holds. Ends with 1 when memory grew, or a document is missing.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from processor.settings import Settings
from processor.store.connect import PROGRESSES, open_database
from tests.benchmarks.machine import Cores, choose_cores, usage_of
from tests.benchmarks.statements import VERB
from tests.benchmarks.surroundings import prepare, publish, under_test, watching
from tests.benchmarks.workloads import COMPLETING, Workload, settings_for
from tests.builders import ORGANISATION
from tests.servers import Servers, found_servers

MATCHING = 1_000
"""One statement of so many matches, each another learner's."""

WARM = 0.1
"""What is held once this part is read is what it takes: journeys, connections, a batch, what is fetched ahead."""

GROWTH = 25.0
"""Megabytes beyond that which are still flat: an allocator's noise. 100,000 records that were kept would be more."""

JOURNEY = 0.002
"""Megabytes of a journey while all are read again, every thirty JOURNEYS_POLL: of 10,000 it was 17 MB for a moment."""

SLOWEST = 2_000
"""Statements a second below which a machine is not worth waiting for."""

STATEMENT = (
    b'{"id":"6690e6c9-3ef0-4ed3-8b37-%012x","actor":{"mbox":"mailto:%d@example.org"},"verb":{"id":"'
    + VERB.encode()
    + b'"},"object":{"id":"%s"},"timestamp":"2026-01-02T03:04:05Z"}'
)


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds since the start of the process, statements committed, megabytes resident."""

    seconds: float
    committed: int
    resident: float


@dataclass(frozen=True, slots=True)
class Behind:
    """What was seen; `documents` of `wanted` were there at the end."""

    records: int
    journeys: int
    samples: Sequence[Sample]
    documents: int
    wanted: int

    @property
    def warm(self) -> float:
        """What the process holds once it has begun."""
        return next(it.resident for it in self.samples if it.committed >= WARM * self.records)

    @property
    def peak(self) -> float:
        """The most that it held."""
        return max(it.resident for it in self.samples)

    @property
    def holds(self) -> bool:
        """Whether memory stayed flat and nothing is missing."""
        return self.peak - self.warm <= GROWTH + JOURNEY * self.journeys and self.documents == self.wanted


def statements(records: int) -> Iterator[bytes]:
    """Yield bare statements, cheaply."""
    for number in range(records):
        thing = b"https://example.org/videos/another" if number % MATCHING else COMPLETING.encode()
        yield STATEMENT % (number, number, thing)


async def catch_up(records: int, journeys: int, servers: Servers, cores: Cores, folder: Path, every: float) -> Behind:
    """Fill a topic, let a process read all of it, and look at it `every` so many seconds."""
    settings = settings_for(servers, uuid4().hex[:12]).model_copy(update={"default_organisation": str(ORGANISATION)})
    await prepare(settings, Workload("behind", 0, 0, records, lambda n: n, lambda _: None, journeys))
    await publish(settings, statements(records))
    samples: list[Sample] = []
    async with watching(settings) as watch, asyncio.timeout(120 + records / SLOWEST):
        async with under_test(settings, cores.processor, folder, watch) as process:
            started = time.perf_counter()
            is_done = False
            while not is_done:
                committed, is_done = await watch.standing(records)
                resident = usage_of(process.process.pid).resident
                samples.append(Sample(time.perf_counter() - started, committed, resident))
                await asyncio.sleep(every)
        documents = await _documents(settings)
    return Behind(records, journeys, samples, documents, -(-records // MATCHING))


async def _documents(settings: Settings) -> int:
    async with open_database(settings) as database:
        return await database[PROGRESSES].count_documents({"isCompleted": True})


def main() -> None:
    """Run it on the tests' servers and print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.behind", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="how far behind (default 1,000,000)")
    parser.add_argument("--journeys", type=int, default=10_000, help="journeys loaded (default 10,000)")
    arguments = parser.parse_args()
    started = time.perf_counter()
    with found_servers() as servers, tempfile.TemporaryDirectory() as folder:
        seen = asyncio.run(
            catch_up(arguments.records, arguments.journeys, servers, choose_cores(), Path(folder), every=1.0)
        )
    sys.stdout.write(" seconds     committed  resident MB\n")
    for sample in seen.samples[:: max(1, len(seen.samples) // 20)]:
        sys.stdout.write(f"{sample.seconds:8.0f}  {sample.committed:12,}  {sample.resident:11.1f}\n")
    sys.stdout.write(
        f"{seen.records:,} records, {arguments.journeys:,} journeys: {seen.warm:.1f} MB warm, {seen.peak:.1f} at most; "
        f"{seen.documents:,} of {seen.wanted:,} documents; {time.perf_counter() - started:.0f} s in all: "
        f"{'holds' if seen.holds else 'DOES NOT HOLD'}\n"
    )
    sys.exit(not seen.holds)


if __name__ == "__main__":
    main()
