"""The tables of examples (tests/unit/conditions/tables.py) against a real mongod: they say what it says."""

from processor.store.connect import Database
from tests.integration.test_conditions_differential import for_mongod
from tests.unit.conditions.tables import ROWS


async def test_each_row_is_mongods(mongo_database: Database) -> None:
    for _, row in ROWS:
        await mongo_database.judged.delete_many({})
        documents = [{"_id": number, **document} for number, document in enumerate([*row.matches, *row.misses])]
        await mongo_database.judged.insert_many(documents)
        found = {hit["_id"] async for hit in mongo_database.judged.find(for_mongod(row.query))}
        assert found == set(range(len(row.matches))), row
