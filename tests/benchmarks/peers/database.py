"""The peers' MongoDB: the journeys as they are at the start, and the progress documents."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from bson.codec_options import CodecOptions
from pymongo import MongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.collection import Collection
from pymongo.write_concern import WriteConcern

from processor.settings import Settings
from processor.store.connect import JOURNEYS, PROGRESSES, open_database
from processor.store.indexes import INDEXES
from tests.benchmarks.peers.job import Document


@contextmanager
def open_synchronously(settings: Settings) -> Iterator[tuple[list[Document], Collection[Document]]]:
    """Yield the journeys, and the collection of progress documents with the same indexes as ours."""
    options: CodecOptions[Document] = CodecOptions(tz_aware=True)
    with MongoClient[Document](settings.mongo_url.get_secret_value(), retryWrites=False) as client:
        database = client.get_database(settings.mongo_database, options, write_concern=WriteConcern("majority", j=True))
        database[PROGRESSES].create_indexes(INDEXES[PROGRESSES])
        yield database[JOURNEYS].find().to_list(), database[PROGRESSES]


@asynccontextmanager
async def open_asynchronously(settings: Settings) -> AsyncIterator[tuple[list[Document], AsyncCollection[Any]]]:
    """Yield the same for coroutines."""
    async with open_database(settings) as database:
        await database[PROGRESSES].create_indexes(INDEXES[PROGRESSES])
        yield await database[JOURNEYS].find().to_list(), database[PROGRESSES]
