"""The judge of the condition language is a real mongod: the same documents, the same queries, the same verdicts.

Each example inserts a few documents and puts a few queries to them both ways. Decisions that depart from mongod are
listed in the docstrings of `processor.core.conditions` (values, regex, parse); here each is either rewritten into
what it means in mongod's own terms, or named in the test that allows it. JOURNEY_PROGRESS_NIGHTLY=1 runs twenty times
as many.
"""

import os
from collections.abc import Mapping
from typing import Any

from bson import Regex
from hypothesis import HealthCheck, given, settings
from pymongo.errors import OperationFailure

from processor.core.conditions import InvalidConditions, compile_conditions
from processor.store.connect import Database
from tests.property.conditions.strategies import Case, cases

TIMES = 20 if os.environ.get("JOURNEY_PROGRESS_NIGHTLY") else 1

judged = settings(
    derandomize=TIMES == 1,
    database=None,
    deadline=None,
    max_examples=500 * TIMES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

REFUSED = "refused"
Verdict = frozenset[int] | str


def for_mongod(query: Any) -> Any:
    """The same query with regular expressions within lists as BSON has them; as objects they are JSON's spelling."""
    if isinstance(query, list):
        return [
            Regex(item["$regex"], item.get("$options", ""))
            if isinstance(item, Mapping) and "$regex" in item
            else for_mongod(item)
            for item in query
        ]
    if isinstance(query, Mapping):
        return {key: for_mongod(value) for key, value in query.items()}
    return query


async def mongod_says(database: Database, queries: list[Any]) -> list[Verdict]:
    """Put all queries in one round trip; if one of them is refused, each by itself."""
    (first, *others) = [
        [{"$match": for_mongod(query)}, {"$project": {"query": {"$literal": number}}}]
        for number, query in enumerate(queries)
    ]
    unions = [{"$unionWith": {"coll": "judged", "pipeline": pipeline}} for pipeline in others]
    found: list[set[int]] = [set() for _ in queries]
    try:
        async for hit in await database.judged.aggregate([*first, *unions]):
            found[hit["query"]].add(hit["_id"])
    except OperationFailure:
        return [REFUSED] if not others else [(await mongod_says(database, [query]))[0] for query in queries]
    return list(map(frozenset, found))


def we_say(query: Any, stored: list[dict[str, Any]]) -> Verdict:
    try:
        conditions = compile_conditions(query)
    except InvalidConditions:
        return REFUSED
    return frozenset(document["_id"] for document in stored if conditions(document))


async def insert(database: Database, drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    stored = [{"_id": number, **document} for number, document in enumerate(drawn)]
    await database.judged.delete_many({})
    await database.judged.insert_many(stored)
    return stored


@judged
@given(cases())
async def test_every_verdict_is_mongods(mongo_database: Database, case: Case) -> None:
    drawn, asked = case
    stored = await insert(mongo_database, drawn)
    for query, verdict in zip(asked, await mongod_says(mongo_database, asked), strict=True):
        assert we_say(query, stored) == verdict, query
