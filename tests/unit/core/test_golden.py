"""The seed's example, purely: its six statements in any order and with repeats give its document to the letter."""

import random
from typing import Any

import orjson
import pytest

from processor.core.decode import Tenancy, decode
from processor.core.identity import Identification
from processor.core.index import JourneyIndex
from processor.core.journey import compile_journey
from processor.core.matching import match
from processor.core.policy import FoldingPolicy
from processor.core.records import StatementRecord
from processor.testing.database import MemoryDatabase
from processor.testing.store import MemoryProgressStore
from schemas.journey import with_ids
from schemas.progress import render_progress
from tests.builders import a_record, at
from tests.golden import ACTOR, EXPECTED, JOURNEY_DOCUMENT, STATEMENT_DOCUMENTS
from tests.unit.core.promoting import Progress

RULES = compile_journey(with_ids(JOURNEY_DOCUMENT))
POLICY = FoldingPolicy(duration_unit="milliseconds")


async def document_of(stream: list[dict[str, Any]], size: int) -> dict[str, Any]:
    """What the core makes of a stream that arrives in batches of `size`, a promotion after each."""
    database = MemoryDatabase()
    progress = Progress(POLICY)
    for start in range(0, len(stream), size):
        decoded = decode(a_record(orjson.dumps(stream[start : start + size])), Tenancy())
        statements = [entry for entry in decoded if isinstance(entry, StatementRecord)]
        assert len(statements) == len(decoded)
        matched = match(statements, JourneyIndex([RULES]), Identification())
        await MemoryProgressStore(database).append(matched.appends, matched.kept, at(0))
        [progress.document] = database.progresses.values()
        progress.promote(RULES)
    assert not database.statements  # the LRS's own are not copied
    return render_progress(progress.document, with_pending=True)


@pytest.mark.parametrize("seed", range(20))
async def test_the_seeds_example(seed: int) -> None:
    dice = random.Random(seed)
    stream = STATEMENT_DOCUMENTS * dice.randint(1, 3)
    dice.shuffle(stream)
    document = await document_of(stream, dice.randint(1, len(stream)))
    assert {name: document[name] for name in EXPECTED} == EXPECTED
    assert document["owner"] == {"trackBy": "actor", "ident": ACTOR}
    assert (document["isCompleted"], document["completedAt"]) == (True, "2017-09-20T09:56:02.443Z")
