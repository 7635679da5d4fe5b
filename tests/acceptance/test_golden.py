"""The seed's example through Kafka and MongoDB, in any order and with repeats."""

import random
from pathlib import Path

import orjson
import pytest

from processor.operating import apply_journeys, create_all_topics
from processor.settings import Settings
from processor.store.connect import Database
from schemas.journey import with_ids
from tests.acceptance.commands import ran, running
from tests.acceptance.world import header, produce, read_all, until_quiet
from tests.golden import EXPECTED, JOURNEY, JOURNEY_DOCUMENT, STATEMENT_DOCUMENTS


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_seeds_example(settings: Settings, mongo_database: Database, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    await create_all_topics(settings)
    await apply_journeys(settings, [with_ids(JOURNEY_DOCUMENT)])
    stream = STATEMENT_DOCUMENTS * 3
    dice.shuffle(stream)
    with running(settings, tmp_path / "run.log"):
        for start in range(0, len(stream), 5):
            await produce(settings, stream[start : start + 5])
        await until_quiet(settings)
        shown = await ran(settings, "progress", "show", "--journey", JOURNEY, "--json")

    [document] = orjson.loads(shown.stdout)
    assert {name: document[name] for name in EXPECTED} == EXPECTED
    assert document["isCompleted"] is True
    assert document["completedAt"] == "2017-09-20T09:56:02.443Z"
    assert document["owner"]["trackBy"] == "actor"
    assert "processing" not in document

    events = await read_all(settings, settings.progress_topic)
    last = orjson.loads(events[-1].value)
    assert last["completions"] == EXPECTED["completions"]
    assert "pendingProgress" not in last
    assert events[-1].key.decode() == document["_id"]
    assert {header(event, "ce_type") for event in events} == {"journey.progress-updated.v1"}
    assert [header(event, "ce_sequence") for event in events] == [str(n + 1) for n in range(len(events))]
