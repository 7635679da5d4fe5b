"""Which failures of MongoDB can be waited out."""

from typing import Any

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    CursorNotFound,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidOperation,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
    WTimeoutError,
)

from processor.errors import InvalidSettings, JourneyProgressError, Misfit, StoreUnavailable
from processor.store.failures import LABELS, insert_once, is_only_duplicates, too_large, translated

UNMET = {"code": 64, "errmsg": "waiting for replication timed out"}


FOREIGN: dict[str, Any] = {
    "code": 11000,
    "keyPattern": {"organisation": 1, "hash": 1},
    "errmsg": "E11000 duplicate key error collection: ll.statements index: organisation_1_hash_1 dup key: { hash: 1 }",
}


def a_write_error(code: int) -> dict[str, Any]:
    return {"code": code} | ({"keyPattern": {"_id": 1}} if code == 11000 else {})


def a_bulk_error(*errors: int | dict[str, Any], unmet: bool = False) -> BulkWriteError:
    """An error of writes with these codes, or errors; a duplicate key is one of `_id`."""
    entries = [it if isinstance(it, dict) else a_write_error(it) for it in errors]
    details: dict[str, Any] = {
        "writeErrors": [{"index": index, **entry} for index, entry in enumerate(entries)],
        "writeConcernErrors": [UNMET] if unmet else [],
    }
    return BulkWriteError(details)


def outcome(error: PyMongoError) -> BaseException:
    """What `translated` makes of an error."""
    with pytest.raises((PyMongoError, JourneyProgressError)) as raised, translated():
        raise error
    return raised.value


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("connection closed"),
        NetworkTimeout("timed out"),
        NotPrimaryError("not primary"),
        ServerSelectionTimeoutError("no primary, Timeout: 5s, Topology Description: …"),
        WaitQueueTimeoutError("no connection free"),
        ExecutionTimeout("operation exceeded time limit", 50),
        CursorNotFound("cursor id 1 not found", 43),
        WTimeoutError("waiting for replication timed out", 64),
        WriteConcernError("not enough data-bearing nodes", 100),
        OperationFailure("stepped down", 189),
        OperationFailure("could not find host matching read preference", 133),
        *(OperationFailure("anything", 1, {"errorLabels": [label]}) for label in LABELS),
        OperationFailure("over the limit", 462),
        a_bulk_error(112, 189),
        a_bulk_error(433, 407),
        a_bulk_error(388),  # a large document, and a cache with little room for what is not written yet
        a_bulk_error(11000),
        a_bulk_error(unmet=True),
    ],
    ids=lambda error: f"{type(error).__name__}-{error}"[:50],
)
def test_what_waiting_mends_is_unavailable(error: PyMongoError) -> None:
    translation = outcome(error)
    assert isinstance(translation, StoreUnavailable)
    assert translation.retriable
    assert translation.__cause__ is error


@pytest.mark.parametrize("code", [13, 18, 8000])
def test_a_wrong_user_or_missing_rights_are_a_misfit_that_says_what_to_check(code: int) -> None:
    translation = outcome(OperationFailure("Authentication failed.", code))
    assert isinstance(translation, Misfit)
    assert "JOURNEY_PROGRESS_MONGO_URL" in str(translation)


@pytest.mark.parametrize(
    "error",
    [a_bulk_error(FOREIGN), a_bulk_error(11000, 189, FOREIGN), DuplicateKeyError(FOREIGN["errmsg"], 11000, FOREIGN)],
    ids=["alone", "among others", "one write"],
)
def test_another_unique_index_is_a_misfit_that_names_it_and_no_value(error: PyMongoError) -> None:
    """To wait would be to wait for ever, and what it refused is not there."""
    translation = outcome(error)
    assert isinstance(translation, Misfit)
    assert "ll.statements index: organisation_1_hash_1: " in str(translation)
    assert "{" not in str(translation)


def test_a_resolver_that_fails_is_waited_for_and_every_other_fault_of_the_url_is_told() -> None:
    unresolved = ConfigurationError("The DNS query name does not exist")
    unresolved.__cause__ = OSError()
    assert isinstance(outcome(unresolved), StoreUnavailable)
    told = outcome(ConfigurationError("Only one TXT record is supported"))
    assert isinstance(told, InvalidSettings)
    assert str(told) == "JOURNEY_PROGRESS_MONGO_URL cannot be used: Only one TXT record is supported"


@pytest.mark.parametrize(
    "error",
    [
        OperationFailure("unknown operator", 9),
        a_bulk_error(2),
        DuplicateKeyError("there", 11000, a_write_error(11000)),
        a_bulk_error(189, 10334),  # one of them is too large: doing it again would not end
        InvalidOperation("closed"),
    ],
    ids=lambda error: f"{type(error).__name__}-{error}"[:50],
)
def test_everything_else_goes_on_as_it_is(error: PyMongoError) -> None:
    assert outcome(error) is error


def test_the_message_leaves_the_topology_out() -> None:
    error = ServerSelectionTimeoutError("localhost:1: refused, Timeout: 5.0s, Topology Description: <…>")
    assert str(outcome(error)) == "MongoDB: localhost:1: refused"


def test_i1_duplicates_are_only_that_when_the_write_concern_was_met() -> None:
    assert is_only_duplicates(a_bulk_error(11000, 11000))
    assert not is_only_duplicates(a_bulk_error(11000, 2))
    assert not is_only_duplicates(a_bulk_error(11000, FOREIGN))
    assert not too_large(a_bulk_error(10334, FOREIGN))
    assert not is_only_duplicates(a_bulk_error(11000, unmet=True))
    assert not is_only_duplicates(a_bulk_error(unmet=True))


class Lossy:
    """A collection whose answers are these failures, one after the other, and then none."""

    def __init__(self, *failures: PyMongoError) -> None:
        self.failures = list(failures)
        self.inserted: list[object] = []

    async def insert_one(self, document: object) -> None:
        self.inserted.append(document)
        if self.failures:
            raise self.failures.pop(0)


LOST, THERE = AutoReconnect("connection closed"), DuplicateKeyError("E11000", 11000, {"keyPattern": {"_id": 1}})


@pytest.mark.parametrize("failures", [[], [LOST], [LOST, THERE]])
async def test_what_may_have_been_inserted_is_inserted_once_more_and_there_once(failures: list[PyMongoError]) -> None:
    lossy = Lossy(*failures)
    await insert_once(lossy, {"_id": 1})  # type: ignore[arg-type]
    assert lossy.inserted == [{"_id": 1}] * (1 + len(failures[:1]))


@pytest.mark.parametrize(("failures", "error"), [([LOST, LOST], StoreUnavailable), ([THERE], DuplicateKeyError)])
async def test_what_cannot_be_inserted_is_told(failures: list[PyMongoError], error: type[Exception]) -> None:
    with pytest.raises(error):
        await insert_once(Lossy(*failures), {"_id": 1})  # type: ignore[arg-type]
