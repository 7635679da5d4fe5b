"""The connection to MongoDB, and whether the server is fit for the job."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConfigurationError, InvalidName
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from processor.errors import InvalidSettings, Misfit, StoreUnavailable
from processor.settings import PREFIX, Settings
from processor.store.failures import translated
from processor.tls import speaks_tls

Document = dict[str, Any]
Database = AsyncDatabase[Document]

PROGRESSES = "journeyprogresses"
ATTEMPTS = "journeyprogressattempts"
JOURNEYS = "journeys"
STATEMENTS = "statements"
RECALCULATIONS = "journeyrecalculations"
RELAYS = "journeyrelays"
CLIENTS = "client"
ORGANISATIONS = "organisations"

READABLE = CodecOptions[Document](
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)
"""MongoDB keeps dates beyond the years 0001 to 9999, and text that is not UTF-8. The first are read as `DatetimeMS`, in
the second stands U+FFFD then: else PyMongo refuses the whole answer that one of them stands in."""

CLOSE_TIMEOUT = 2.0
"""Seconds that MongoDB is given to end our sessions."""

MONGODB_5 = 13
"""The wire version of MongoDB 5.0, the first that stores every key an xAPI extension may have (`$` in front)."""


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Connect to the database of the settings, whatever MONGO_URL says about reading and writing.

    Writes are acknowledged by a majority and journalled. Reads go to the primary: a claim that read an older
    document from a secondary would promote without the evidence that it was claimed for.
    Raises `InvalidSettings` when MONGO_URL or MONGO_DATABASE cannot be used. Nothing is sent before the first
    operation.
    """
    milliseconds = int(settings.mongo_timeout * 1000)
    client = _client(settings.mongo_url.get_secret_value(), settings.client_id, milliseconds)
    try:
        yield client.get_database(
            settings.mongo_database,
            codec_options=READABLE,
            read_preference=ReadPreference.PRIMARY,
            write_concern=WriteConcern(w="majority", j=True, wtimeout=milliseconds),
            read_concern=ReadConcern("local"),
        )
    except InvalidName as error:
        raise InvalidSettings(f"{PREFIX}MONGO_DATABASE cannot be used: {error}") from None
    finally:
        await _close(client)


def _client(url: str, name: str, milliseconds: int) -> AsyncMongoClient[Document]:
    """Make the client; an option that PyMongo would only warn of, and then ignore, is a fault like any other.

    It repeats no write that failed: to do it again is our business, and harmless. And mongod writes down each single
    update that might come again, a fifth of what it costs (DECISIONS.md, 112).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            return AsyncMongoClient(
                url,
                appname=name,
                serverSelectionTimeoutMS=milliseconds,
                connectTimeoutMS=milliseconds,
                socketTimeoutMS=milliseconds,
                retryWrites=False,
            )
    except (ConfigurationError, ValueError, OSError, UserWarning) as error:
        raise InvalidSettings(
            f"{PREFIX}MONGO_URL cannot be used: {_told(error, url)}; "
            "it looks like mongodb://user:password@host:27017/?replicaSet=rs0"
        ) from None


def _told(error: Exception, url: str) -> str:
    """Return what is wrong, unless that may quote a piece of a password or token that is not escaped."""
    credentials = url.partition("://")[2].rpartition("@")[0]
    is_escaped = credentials.count(":") < 2 and not set(credentials) & set("/?#[]@")
    if is_escaped and "auth mechanism property" not in str(error):
        return str(error).rstrip(".")
    return "user, password and options have to be escaped as in any URL (%40 for @, %3A for :, %2F for /)"


async def _close(client: AsyncMongoClient[Document]) -> None:
    """Disconnect; a server that is away is not waited for to end our sessions."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await client.close()
    except TimeoutError:
        await client.close()  # without the sessions, which are off its books now


async def check_fit(database: Database) -> None:
    """Hold the server to what the guarantees need: see `unfitness`; and ask whether we may look at the database.

    Raises `Misfit` with the remedy, also when TLS is what keeps us apart, or `StoreUnavailable`.
    """
    try:
        with translated():
            hello = await database.client.admin.command("hello")
    except StoreUnavailable as error:
        if tls_fault := await _tls_fault(database, str(error)):
            raise Misfit(tls_fault) from None
        raise
    if fault := unfitness(hello):
        raise Misfit(fault)
    with translated():
        await database.list_collection_names()


async def _tls_fault(database: Database, error: str) -> str | None:
    """Tell a server that is away from one that speaks TLS while we do not, or the other way round."""
    if any(sign in error for sign in ("SSL handshake failed", "certificate verify failed")):
        return (
            f"{error}; check that this MongoDB serves TLS, and that tlsCAFile in {PREFIX}MONGO_URL names who signed "
            "its certificate, and its host name is in that"
        )
    for host, port in database.client.topology_description.server_descriptions():
        if port and await speaks_tls(host, port):
            return f"MongoDB at {host}:{port} speaks TLS: add tls=true (and tlsCAFile) to {PREFIX}MONGO_URL"
    return None


def unfitness(hello: Mapping[str, Any]) -> str | None:
    """Judge a server by its answer to `hello`; return what is wrong with it and the remedy, or None."""
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        return (
            "this MongoDB is a standalone mongod: start it with --replSet and run rs.initiate() once "
            "(a replica set of one will do); without it no write is acknowledged by a majority"
        )
    if hello["maxWireVersion"] < MONGODB_5:
        return "this MongoDB is older than 5.0, which refuses keys that xAPI statements may have: upgrade it"
    return None
