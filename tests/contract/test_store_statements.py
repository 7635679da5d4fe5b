"""One contract for `ports.ProgressStore`: the bare statements that are kept, so that no reference dangles."""

from typing import Any

import pytest
from bson.errors import InvalidDocument
from msgspec.structs import replace

from processor.store.connect import Database
from processor.store.progress import MongoProgressStore
from tests.builders import a_statement_record, an_append, at
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
