"""Each contract of the stores is asked of the memory and of MongoDB."""

from collections.abc import Mapping
from typing import Any

import pytest

from processor.store.connect import STATEMENTS
from processor.store.progress import MongoProgressStore
from processor.store.reader import MongoProgressReader
from processor.testing.database import MemoryDatabase
from processor.testing.store import MemoryProgressStore
from tests.contract.stores import Both


@pytest.fixture(params=["memory", pytest.param("mongo", marks=pytest.mark.servers)])
def both(request: pytest.FixtureRequest) -> Both:
    if request.param == "memory":
        return in_memory()
    database = request.getfixturevalue("mongo_database")

    async def statements() -> list[Mapping[str, Any]]:
        return [document async for document in database[STATEMENTS].find().sort("_id")]

    return Both(MongoProgressStore(database), MongoProgressStore(database), MongoProgressReader(database), statements)


def in_memory() -> Both:
    database = MemoryDatabase()

    async def statements() -> list[Mapping[str, Any]]:
        return list(database.statements.values())

    store, other, reader = (MemoryProgressStore(database) for _ in range(3))
    return Both(store, other, reader, statements)
