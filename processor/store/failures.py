"""What PyMongo's errors mean for us: the one place where they are translated."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import IntEnum
from typing import Any

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)

from processor.errors import InvalidSettings, Misfit, StoreUnavailable
from processor.settings import PREFIX


class Passing(IntEnum):
    """What a server says while it changes its primary, shuts down, loses its majority or is overloaded.

    Waiting helps. Names and numbers are MongoDB's (src/mongo/base/error_codes.yml).
    """

    HOST_UNREACHABLE = 6
    HOST_NOT_FOUND = 7
    LOCK_TIMEOUT = 24
    CURSOR_NOT_FOUND = 43
    MAX_TIME_MS_EXPIRED = 50
    WRITE_CONCERN_TIMEOUT = 64
    NETWORK_TIMEOUT = 89
    SHUTDOWN_IN_PROGRESS = 91
    UNSATISFIABLE_WRITE_CONCERN = 100
    WRITE_CONFLICT = 112
    FAILED_TO_SATISFY_READ_PREFERENCE = 133
    READ_CONCERN_MAJORITY_NOT_AVAILABLE_YET = 134
    QUERY_PLAN_KILLED = 175
    PRIMARY_STEPPED_DOWN = 189
    NETWORK_INTERFACE_EXCEEDED_TIME_LIMIT = 202
    CURSOR_KILLED = 237
    EXCEEDED_TIME_LIMIT = 262
    TEMPORARILY_UNAVAILABLE = 365
    TRANSACTION_TOO_LARGE_FOR_CACHE = 388
    RESOURCE_EXHAUSTED = 402
    POOLED_CONNECTION_ACQUISITION_EXCEEDED_TIME_LIMIT = 407
    UPDATES_STILL_PENDING = 412
    ADMISSION_QUEUE_OVERFLOW = 433
    RATE_LIMIT_EXCEEDED = 449
    POOLED_CONNECTION_ACQUISITION_REJECTED = 450
    INTERRUPTED_DUE_TO_RESHARDING_CRITICAL_SECTION = 453
    INGRESS_REQUEST_RATE_LIMIT_EXCEEDED = 462
    SOCKET_EXCEPTION = 9001
    NOT_WRITABLE_PRIMARY = 10107
    INTERRUPTED_AT_SHUTDOWN = 11600
    INTERRUPTED = 11601
    INTERRUPTED_DUE_TO_REPL_STATE_CHANGE = 11602
    NOT_PRIMARY_NO_SECONDARY_OK = 13435
    NOT_PRIMARY_OR_SECONDARY = 13436
    RETRIABLE_REMOTE_COMMAND_FAILURE = 91331
    INTERRUPTED_DUE_TO_FCV_CHANGE = 10045600


LABELS = ("RetryableError", "SystemOverloadedError", "RetryableWriteError")
"""By what a server says of a failure that waiting helps; the last only to a driver that repeats writes."""


class Refusal(IntEnum):
    """What a server says to a wrong user or password (8000: Atlas), and to missing rights."""

    UNAUTHORIZED = 13
    AUTHENTICATION_FAILED = 18
    ATLAS_ERROR = 8000


MISNAMED = frozenset({73, 13297})
"""InvalidNamespace (a name that is too long), and DatabaseDifferCase."""

DUPLICATE_KEY = 11000

TOO_LARGE = frozenset({10334, 17419, 17420})
"""BSONObjectTooLarge, and what an update says of the document that would result."""

MISSHAPEN = frozenset({2, 28})
"""BadValue and PathNotViable: something else stands where an array or a document has to be."""

_PASSING = frozenset[int](Passing)
_REFUSALS = frozenset[int](Refusal)


@contextmanager
def translated() -> Iterator[None]:
    """Turn PyMongo's errors into ours: what waiting can mend is `StoreUnavailable`, wrong rights are `Misfit`.

    What only shows when MONGO_URL and MONGO_DATABASE are used is `InvalidSettings`. Whether an operation that ended in
    `StoreUnavailable` was done is unknown. All other errors go on as they are.
    """
    try:
        yield
    except (ConnectionFailure, ExecutionTimeout, WriteConcernError) as error:
        raise StoreUnavailable(f"MongoDB: {_short(error)}") from error
    except ConfigurationError as error:
        if error.__cause__ is not None:  # the resolver's, for mongodb+srv: as any name that is not known at the moment
            raise StoreUnavailable(f"MongoDB: {_short(error)}") from error
        raise InvalidSettings(f"{PREFIX}MONGO_URL cannot be used: {_short(error)}") from None
    except OperationFailure as error:
        if error.code in _REFUSALS:
            raise Misfit(
                f"MongoDB refuses us: {_short(error)}; check user, password and authSource in {PREFIX}MONGO_URL, and "
                "that the user has the role readWrite on the database"
            ) from None
        if error.code in MISNAMED:
            raise InvalidSettings(f"{PREFIX}MONGO_DATABASE cannot be used: {_short(error)}") from None
        if index := _foreign_index(error):
            raise Misfit(
                f"MongoDB: {index}: this unique index is none of ours and refuses what we write; drop it, or make it "
                "partial, so that it leaves our documents out"
            ) from error
        if is_passing(error):
            raise StoreUnavailable(f"MongoDB: {_short(error)}") from error
        raise


def is_passing(error: OperationFailure) -> bool:
    """Tell whether waiting mends what a server has answered."""
    if isinstance(error, BulkWriteError):
        return is_passing_bulk(error)
    return error.code in _PASSING or any(map(error.has_error_label, LABELS))


def is_passing_bulk(error: BulkWriteError) -> bool:
    """Tell whether each failure of a bulk write can be mended by doing it again.

    A duplicate `_id` of an upsert is: another writer inserted the document a moment ago (trap 4). So is a write
    concern that was not met, which comes without the failure of any single write.
    """
    return all(entry["code"] in _PASSING or _is_there(entry) for entry in _failures(error))


def is_only_duplicates(error: BulkWriteError) -> bool:
    """Tell whether all that went wrong is that documents were there already, by their `_id`.

    Not so when the write concern was not met as well: then nobody knows whether the others are durable (I1).
    """
    failures = _failures(error)
    return bool(failures) and all(map(_is_there, failures)) and not error.details.get("writeConcernErrors")


def too_large(error: BulkWriteError) -> list[Mapping[str, Any]]:
    """Return the filters of the updates that were refused as their documents would have become too large.

    Empty when anything else went wrong as well, but what doing it again mends, or `misshapen` tells.
    """
    return _refused_for(error, TOO_LARGE)


def misshapen(error: BulkWriteError) -> list[Mapping[str, Any]]:
    """Return the filters of the updates that their documents are not made for; empty as `too_large` is."""
    return _refused_for(error, MISSHAPEN)


def _refused_for(error: BulkWriteError, codes: frozenset[int]) -> list[Mapping[str, Any]]:
    known = _PASSING | TOO_LARGE | MISSHAPEN
    if not all(entry["code"] in known or _is_there(entry) for entry in _failures(error)):
        return []
    return [entry["op"]["q"] for entry in _failures(error) if entry["code"] in codes]


def refused(error: BulkWriteError) -> list[int]:
    """Return the positions of the writes that failed."""
    return [entry["index"] for entry in error.details["writeErrors"]]


def _failures(error: BulkWriteError) -> Sequence[Mapping[str, Any]]:
    failures: Sequence[Mapping[str, Any]] = error.details.get("writeErrors", [])
    return failures


async def insert_once(collection: AsyncCollection[dict[str, Any]], document: Mapping[str, Any]) -> None:
    """Insert a document that has its `_id`; once more where it is unknown whether that was done.

    For what somebody would otherwise do again by hand, under another `_id`. Raises what `translated` does.
    """
    try:
        with translated():
            await collection.insert_one(dict(document))
    except StoreUnavailable:
        with translated(), suppress(DuplicateKeyError):  # the first one was done
            await collection.insert_one(dict(document))


def _is_there(entry: Mapping[str, Any]) -> bool:
    """Tell a duplicate `_id`. Any other unique index refuses a document that is not there."""
    return entry["code"] == DUPLICATE_KEY and entry.get("keyPattern") == {"_id": 1}


def _foreign_index(error: OperationFailure) -> str | None:
    """Name the unique index, other than that of `_id`, that refused a document, and its collection."""
    failures = _failures(error) if isinstance(error, BulkWriteError) else [error.details or {}]
    for entry in failures:
        if entry.get("code") == DUPLICATE_KEY and not _is_there(entry):
            return str(entry.get("errmsg")).split(" dup key:", maxsplit=1)[0]
    return None


def _short(error: PyMongoError) -> str:
    """The first sentence: PyMongo appends the whole topology."""
    return str(error).split(", Timeout:", maxsplit=1)[0].split(", full error:", maxsplit=1)[0][:300]
