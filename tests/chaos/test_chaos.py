"""The short form of `make chaos`, within `make test-apache`: real faults lose and double nothing."""

import os
import random
import sys
from pathlib import Path

import pytest

from tests.chaos.chaos import run_chaos
from tests.chaos.script import LONG, SHORT, script


def test_a_script_is_its_seeds() -> None:
    assert script(LONG, 1) == script(LONG, 1) != script(LONG, 2)
    assert len(script(LONG, 1)) == sum(LONG.counts.values())


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("JOURNEY_PROGRESS_TEST_KAFKA") != "apache", reason="needs `make test-apache`")
async def test_real_faults_lose_and_double_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("JOURNEY_PROGRESS_CHAOS_SEED", random.SystemRandom().getrandbits(32)))
    sys.stdout.write(f"JOURNEY_PROGRESS_CHAOS_SEED={seed}\n")  # pytest shows it when the test fails
    outcome = await run_chaos(SHORT, seed, tmp_path)
    assert (outcome.verdict.lost, outcome.verdict.doubled) == ([], [])
    assert outcome.died == []
    assert set(outcome.statuses) == {0}
    assert outcome.verdict.statements + outcome.verdict.letters >= outcome.acknowledged
    assert outcome.faults == SHORT.counts
