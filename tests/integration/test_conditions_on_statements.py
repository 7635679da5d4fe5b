"""The judge again, over real statements: conditions in Learning Locker's dialect against what a mongod says.

Each statement is put to our conditions both as it is stored, with `&46;` in its keys, and as it came. Nothing is asked
of `statement.timestamp`, which means the document's Date field to us (semantics.md, section 3).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest
from bson import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.core.conditions import compile_conditions
from processor.core.conditions.dialect import DATE_FIELDS
from processor.core.decode import Tenancy, decode
from processor.core.records import Record, StatementRecord
from processor.store.connect import Database
from schemas.dots import encode_dots
from tests.builders import ORGANISATION
from tests.integration.test_conditions_differential import judged, mongod_says
from tests.property.conditions.realistic import Leaves, a_realistic_query, in_dialect, leaves_of
from tests.property.conditions.strategies import Dice, Json

EVERY = 20
"""Of 4,000 statements, 200: one of each twenty."""

Documents = list[dict[str, Any]]


@pytest.fixture(scope="session")
def documents(shared_data: Path) -> Documents:
    """Statement documents as ingest decodes them; some with a persona, some of another store."""
    lines = (shared_data / "video-course-statements.jsonl").read_bytes().splitlines()[::EVERY]
    return [_document(line, number) for number, line in enumerate(lines)]


@pytest.fixture(scope="session")
def leaves(documents: Documents) -> Leaves:
    """What is asked, with `&46;` as people have to write it."""
    found = leaves_of(map(encode_dots, documents))
    return {path: values for path, values in found.items() if path not in DATE_FIELDS}


def _document(line: bytes, number: int) -> dict[str, Any]:
    stores = ObjectId("59c236a0bdf9ac67b2ab5ee7"), ObjectId("59c236a0bdf9ac67b2ab5ee8")
    record = Record("statements", 0, number, 0, line)
    [decoded] = decode(record, Tenancy(ORGANISATION, stores[number % 2]))
    assert isinstance(decoded, StatementRecord)
    person = {"_id": ObjectId(f"{number % 5:024x}"), "display": "Ana"} if number % 3 else None
    return {**decoded.document, "_id": number, "person": person}


@settings(judged, max_examples=judged.max_examples // 5)
@given(st.data())
async def test_real_statements(
    mongo_database: Database, documents: Documents, leaves: Leaves, data: st.DataObject
) -> None:
    stored = await _stored(mongo_database, documents)
    dice = Dice(data.draw)
    asked = dice.some(lambda: a_realistic_query(dice, leaves), 5, 10)
    for query, verdict in zip(asked, await mongod_says(mongo_database, asked), strict=True):
        conditions = in_dialect(query)
        assert we_say(conditions, stored) == verdict, conditions
        assert we_say(conditions, documents) == verdict, conditions


async def _stored(database: Database, documents: Documents) -> Documents:
    """Insert them once, as Learning Locker stores them."""
    stored = [encode_dots(document) for document in documents]
    if not await database.judged.estimated_document_count():
        await database.judged.insert_many(stored)
    return stored


def we_say(query: Json, documents: Iterable[dict[str, Any]]) -> frozenset[int]:
    conditions = compile_conditions(orjson.dumps(query).decode())
    return frozenset(document["_id"] for document in documents if conditions(document))
