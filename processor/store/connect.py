"""The connection to MongoDB, and whether the server is fit for the job."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    ExecutionTimeout,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from processor.errors import InvalidSettings, Misfit, StoreUnavailable
from processor.settings import PREFIX, Settings

Document = dict[str, Any]
Database = AsyncDatabase[Document]

PROGRESSES = "journeyprogresses"
JOURNEYS = "journeys"
STATEMENTS = "statements"

# What a mongod says while it changes its primary, shuts down, or loses its majority: waiting helps.
_PASSING_CODES = frozenset(
    {6, 7, 64, 89, 91, 100, 112, 134, 189, 202, 262, 317, 358, 384, 9001, 10107, 11600, 11602, 13435, 13436}
)
_AUTHENTICATION_CODES = frozenset({13, 18, 8000})


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Connect to the database of the settings; writes are acknowledged by a majority and journalled.

    Raises `InvalidSettings` when MONGO_URL cannot be understood. Nothing is sent before the first operation.
    """
    milliseconds = int(settings.mongo_timeout * 1000)
    try:
        client: AsyncMongoClient[Document] = AsyncMongoClient(
            settings.mongo_url.get_secret_value(),
            appname=settings.client_id,
            serverSelectionTimeoutMS=milliseconds,
            connectTimeoutMS=milliseconds,
            socketTimeoutMS=milliseconds,
        )
    except (InvalidURI, ConfigurationError, ValueError) as error:
        raise InvalidSettings(
            f"{PREFIX}MONGO_URL cannot be used: {error}; it looks like mongodb://user:password@host:27017/?replicaSet=rs0"
        ) from None
    try:
        yield client.get_database(
            settings.mongo_database,
            codec_options=CodecOptions(tz_aware=True),
            write_concern=WriteConcern(w="majority", j=True, wtimeout=milliseconds),
            read_concern=ReadConcern("local"),
        )
    finally:
        await client.close()


async def check_fit(database: Database) -> None:
    """Hold the server to what the guarantees need: majority writes and change streams, so no standalone mongod.

    Raises `Misfit` with the remedy, or `StoreUnavailable`.
    """
    with translated():
        hello = await database.client.admin.command("hello")
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise Misfit(
            "this MongoDB is a standalone mongod: start it with --replSet and run rs.initiate() once "
            "(a replica set of one will do); without it no write is acknowledged by a majority"
        )
    with translated():
        await database.list_collection_names()


@contextmanager
def translated() -> Iterator[None]:
    """Turn PyMongo's errors into ours: what waiting can mend is `StoreUnavailable`, wrong rights are `Misfit`.

    Whether an operation that ended in `StoreUnavailable` was done is unknown. All other errors go on as they are.
    """
    try:
        yield
    except (AutoReconnect, ServerSelectionTimeoutError, ExecutionTimeout, WTimeoutError, WriteConcernError) as error:
        raise StoreUnavailable(f"MongoDB: {_short(error)}") from error
    except BulkWriteError as error:
        if is_passing(error):
            raise StoreUnavailable(f"MongoDB: {_short(error)}") from error
        raise
    except OperationFailure as error:
        if error.code in _AUTHENTICATION_CODES:
            raise Misfit(
                f"MongoDB refuses us: {_short(error)}; check user, password and authSource in {PREFIX}MONGO_URL, and "
                "that the user has the role readWrite on the database"
            ) from None
        if error.code in _PASSING_CODES or error.has_error_label("RetryableWriteError"):
            raise StoreUnavailable(f"MongoDB: {_short(error)}") from error
        raise


def is_passing(error: BulkWriteError) -> bool:
    """Tell whether each failure of a bulk write can be mended by doing it again.

    A duplicate key of an upsert by `_id` is: another writer inserted the document a moment ago (trap 4).
    """
    details = error.details
    codes = {entry.get("code") for entry in details.get("writeErrors", [])}
    return codes <= _PASSING_CODES | {11000}


def _short(error: PyMongoError) -> str:
    """The first sentence: PyMongo appends the whole topology."""
    return str(error).split(", Timeout:", maxsplit=1)[0].split(", full error:", maxsplit=1)[0][:300]
