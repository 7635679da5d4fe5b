"""The grounds that `bench` measures on: topics and a database of its own, made before and removed after."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError
from pymongo.errors import PyMongoError

from processor.core.sample import Sample
from processor.errors import InvalidInput, JourneyProgressError
from processor.operating import apply_journeys, create_all_topics
from processor.settings import Settings
from processor.store.connect import Database, check_fit, open_database
from processor.store.failures import translated
from processor.transport.topics import delete_topics, present_topics, topic_names
from schemas.journey import with_ids

NAMES = re.compile(r"[a-zA-Z0-9_-]{1,50}")

MAKING = 30.0
"""Seconds that what is being made is waited for before all of it is removed."""

Removing = Callable[[], asyncio.Event]
"""Called when what was made begins to be removed; returns what is set when the rest of it is to be left."""

Left = Callable[[str], None]
"""Told what could not be removed, why, and how to remove it."""


def grounds(settings: Settings, prefix: str, statements: int) -> Settings:
    """Return the operator's settings on topics, a group and a database that nobody else uses.

    Few statements come in smaller batches: the first batch is not measured, and must not be all there is. Raises
    `InvalidInput` when the prefix is no name for all of these.
    """
    if not NAMES.fullmatch(prefix):
        raise InvalidInput(f"--prefix {prefix!r}: topics and a database are to be called so: letters, digits, - and _")
    batch = min(settings.batch_records, statements // 5)
    names = {
        "statements_topic": f"{prefix}.statements",
        "progress_topic": f"{prefix}.progress",
        "dead_letters_topic": f"{prefix}.dead-letters",
        "consumer_group": prefix,
        "mongo_database": prefix,
    }
    own = {
        "topic_partitions": 1,
        "batch_records": batch,
        "auto_offset_reset": "earliest",
        "http_port": 0,
        "rejection_budget": 0.0,
    }
    return settings.model_copy(update=names | own)


@asynccontextmanager
async def prepared(settings: Settings, sample: Sample, removing: Removing, left: Left) -> AsyncIterator[Database]:
    """Make topics, database and the sample's journeys on `grounds`; remove all of it at the end, however that comes.

    Raises `InvalidInput` when something there exists already, or what the servers raise.
    """
    async with open_database(settings) as database:
        await check_fit(database)
        present = await present_topics(settings)
        taken = [f"topic {name}" for name in topic_names(settings) if name in present]
        with translated():
            taken += [f"database {database.name}"] if await database.list_collection_names() else []
        if taken:
            raise InvalidInput(
                f"there is {' and '.join(taken)} already, and a measurement touches nothing that is there: choose "
                "another --prefix, or delete what one that was killed has left"
            )
        making = asyncio.create_task(_make(settings, sample))
        try:
            await asyncio.shield(making)
            yield database
        finally:
            await _clear_away(settings, database, making, removing(), left)


async def _make(settings: Settings, sample: Sample) -> None:
    await create_all_topics(settings)
    await apply_journeys(settings, [with_ids(dict(it)) for it in sample.journey_documents()])


async def _clear_away(
    settings: Settings, database: Database, making: "asyncio.Task[None]", enough: asyncio.Event, left: Left
) -> None:
    """Remove what was made; when `enough` is set before it is gone, tell what may be left."""
    clearing = asyncio.create_task(_made_and_removed(settings, database, making, left))
    asked = asyncio.create_task(enough.wait())
    await asyncio.wait([clearing, asked], return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if clearing.done():
        await clearing
        return
    making.cancel()
    clearing.cancel()
    await asyncio.gather(making, clearing, return_exceptions=True)
    for it in (_database_left(settings), _topics_left(settings)):
        left(f"{it}: a signal ended the removing")


async def _made_and_removed(settings: Settings, database: Database, making: "asyncio.Task[None]", left: Left) -> None:
    """Wait for what is being made: a collection that a server is just making would come after the removing."""
    _, late = await asyncio.wait([making], timeout=MAKING)
    making.cancel()
    await _remove(settings, database, left)
    if late:
        names = f"database {settings.mongo_database} and topics {', '.join(topic_names(settings))}"
        left(f"what was still being made after {MAKING:g} s may come yet: look later for {names}")


async def _remove(settings: Settings, database: Database, left: Left) -> None:
    """Remove the database and the topics; what stays is told, so that nothing is lost that was measured.

    Each collection is dropped, as the role readWrite allows; with the last of them goes the database.
    """
    try:
        with translated():
            for name in await database.list_collection_names():
                await database.drop_collection(name)
    except (JourneyProgressError, PyMongoError) as error:
        left(f"{_database_left(settings)}: {error}")
    try:
        await delete_topics(settings)
    except (JourneyProgressError, KafkaError) as error:
        left(f"{_topics_left(settings)}: {error}")


def _database_left(settings: Settings) -> str:
    name = settings.mongo_database
    return f"database {name} may be left, remove it by hand (mongosh: db.getSiblingDB('{name}').dropDatabase())"


def _topics_left(settings: Settings) -> str:
    names = ", ".join(topic_names(settings))
    return f"topics {names} may be left, remove them by hand (kafka-topics.sh --delete --topic NAME)"
