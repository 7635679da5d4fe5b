"""One contract for `ports.ProgressStore`: the bare statements that are kept, so that no reference dangles."""

from typing import Any

import orjson
import pytest
from bson import ObjectId
from bson.errors import InvalidDocument
from msgspec.structs import replace

from processor.core.decode import Tenancy, decode
from processor.core.records import Record, StatementRecord
from processor.errors import Misfit
from processor.store.connect import PROGRESSES, STATEMENTS, Database
from processor.store.progress import MongoProgressStore
from tests.builders import ORGANISATION, a_statement, a_statement_document, a_statement_record, an_append, at
from tests.contract.stores import Both


def extended(extensions: dict[str, Any]) -> dict[str, Any]:
    return {"context": {"extensions": extensions}}


async def test_a_matched_bare_statement_is_kept_in_learning_lockers_shape(both: Both) -> None:
    record = a_statement_record(1)
    await both.store.append([an_append()], [record], at(0))
    assert await both.statements() == [record.document]


async def test_keys_that_mongodb_would_misread_are_kept(both: Both) -> None:
    """Dots are encoded as Learning Locker does; a `$` in front is stored as it is."""
    given = {"http://example.org/x.y": {"$set": 1, "$a.b": [{"c.d": None}]}}
    await both.store.append([], [a_statement_record(1, **extended(given))], at(0))
    [kept] = await both.statements()
    assert kept["statement"]["context"]["extensions"] == {
        "http://example&46;org/x&46;y": {"$set": 1, "$a&46;b": [{"c&46;d": None}]}
    }


async def test_i2_a_statement_that_is_there_is_not_overwritten_and_does_not_stop_the_others(both: Both) -> None:
    first, second = a_statement_record(1), a_statement_record(2)
    await both.store.append([], [first], at(0))
    edited = replace(first, document={**first.document, "voided": True})
    await both.store.append([], [edited, edited, second], at(1))
    assert await both.statements() == [first.document, second.document]


def decoded(number: int) -> StatementRecord:
    """A bare statement as it comes out of a record, not as the builder has it."""
    value = orjson.dumps(a_statement(number))
    [found] = decode(Record("statements", 0, number, 0, value), Tenancy(ORGANISATION))
    assert isinstance(found, StatementRecord)
    return found


@pytest.fixture
async def learning_lockers(mongo_database: Database) -> Database:
    """The database with the unique index that a migration of Learning Locker makes."""
    keys = ("organisation", "lrs_id", "hash")
    await mongo_database[STATEMENTS].create_index([(key, 1) for key in keys], unique=True)
    await mongo_database[STATEMENTS].insert_one(a_statement_document(9, _id=ObjectId(), hash="0f" * 20))
    return mongo_database


async def test_learning_lockers_unique_index_lets_all_bare_statements_in(learning_lockers: Database) -> None:
    """Without a `hash` it would take one for each store, and refuse the others like statements that are there."""
    records = [decoded(number) for number in range(1, 6)]
    store = MongoProgressStore(learning_lockers)
    for _ in range(2):  # the second time all are there, by the index of `_id` as by that of `hash`
        await store.append([], [*records, records[0]], at(0))
    kept = {it["_id"] for it in await learning_lockers[STATEMENTS].find().to_list()}
    assert kept > {record.reference for record in records}
    assert len(kept) == 6


async def test_i2_a_statement_that_was_kept_without_a_hash_is_there(learning_lockers: Database) -> None:
    record = decoded(1)
    old = {key: value for key, value in record.document.items() if key != "hash"}
    await learning_lockers[STATEMENTS].insert_one(old)
    await MongoProgressStore(learning_lockers).append([], [record, decoded(2)], at(0))
    assert await learning_lockers[STATEMENTS].find_one({"_id": record.reference}) == old
    assert await learning_lockers[STATEMENTS].count_documents({}) == 3


@pytest.mark.parametrize(("collection", "key"), [(STATEMENTS, "statement.verb.id"), (PROGRESSES, "lockKey")])
async def test_i1_what_another_unique_index_refuses_is_not_taken_for_there(
    mongo_database: Database, collection: str, key: str
) -> None:
    await mongo_database[collection].create_index(key, unique=True, name="by hand")
    appends = [an_append(owner=owner) for owner in ("ana", "ben")]
    with pytest.raises(Misfit, match=rf"{collection} index: by hand: .* drop it"):
        await MongoProgressStore(mongo_database).append(appends, [a_statement_record(1), a_statement_record(2)], at(0))


async def test_the_record_is_left_as_it_was(both: Both) -> None:
    record = a_statement_record(1, **extended({"a.b": 1}))
    await both.store.append([], [record], at(0))
    assert record.document["statement"]["context"]["extensions"] == {"a.b": 1}


async def test_without_its_statement_no_evidence_is_kept(mongo_database: Database) -> None:
    """Statements go first: a reference that dangles could never be mended, a statement without one does no harm."""
    record = a_statement_record(1)
    unwritable = replace(record, document={**record.document, "voided": object()})
    store = MongoProgressStore(mongo_database)
    with pytest.raises(InvalidDocument):
        await store.append([an_append()], [unwritable], at(0))
    assert (await store.backlog(at(1))).documents == 0
