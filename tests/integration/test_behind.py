"""A consumer far behind runs in bounded memory; ten million records: `python -m tests.benchmarks.behind`."""

import sys
from pathlib import Path

import pytest

from tests.benchmarks.behind import catch_up
from tests.benchmarks.machine import choose_cores
from tests.servers import Servers

RECORDS = 100_000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
async def test_memory_stays_flat_while_a_process_catches_up(servers: Servers, tmp_path: Path) -> None:
    seen = await catch_up(RECORDS, 100, servers, choose_cores(), tmp_path, every=0.1)
    assert seen.documents == seen.wanted
    assert seen.holds, [(sample.committed, round(sample.resident)) for sample in seen.samples]
