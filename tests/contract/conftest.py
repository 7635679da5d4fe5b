"""Each contract of the stores is asked of the memory and of MongoDB."""

import pytest

from processor.store.progress import MongoProgressStore
from processor.store.reader import MongoProgressReader
from processor.testing.store import MemoryDatabase, MemoryProgressStore
from tests.contract.stores import Both


@pytest.fixture(params=["memory", "mongo"])
def both(request: pytest.FixtureRequest) -> Both:
    if request.param == "memory":
        database = MemoryDatabase()
        return Both(MemoryProgressStore(database), MemoryProgressStore(database), MemoryProgressStore(database))
    real = request.getfixturevalue("mongo_database")
    return Both(MongoProgressStore(real), MongoProgressStore(real), MongoProgressReader(real))
