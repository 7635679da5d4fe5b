"""The three topics: made, checked, and how far the group is behind."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from processor.errors import BrokerUnavailable, Misfit
from processor.settings import PREFIX, Settings
from processor.transport.connect import connection, translated
from processor.transport.producer import ENVELOPE

TOPIC_ALREADY_EXISTS = kafka.TopicAlreadyExistsError.errno


def topic_names(settings: Settings) -> tuple[str, str, str]:
    """Return the statements, progress and dead-letter topic."""
    return settings.statements_topic, settings.progress_topic, settings.dead_letters_topic


async def create_topics(settings: Settings) -> Mapping[str, bool]:
    """Create the topics that are missing; return for each whether it was made now.

    Dead letters are kept for ever and may be a little larger than what they carry.
    """
    largest = str(settings.kafka_max_message_bytes)
    configs = {
        settings.statements_topic: {"max.message.bytes": largest},
        settings.progress_topic: {"max.message.bytes": largest},
        settings.dead_letters_topic: {
            "max.message.bytes": str(settings.kafka_max_message_bytes + ENVELOPE),
            "retention.ms": "-1",
        },
    }
    async with _admin(settings) as admin:
        present = set(await admin.list_topics())
        wanted = [_new_topic(name, settings, config) for name, config in configs.items() if name not in present]
        if wanted:
            response = await admin.create_topics(wanted)
            for name, code, *message in response.topic_errors:
                if code not in (0, TOPIC_ALREADY_EXISTS):
                    error = kafka.for_code(code)
                    raise error(f"topic {name}: {' '.join(filter(None, message))}")
    return {name: name not in present for name in topic_names(settings)}


async def check_topics(settings: Settings) -> None:
    """Raise `Misfit` naming the topics that are missing, and the remedy."""
    async with _admin(settings) as admin:
        present = set(await admin.list_topics())
    missing = [name for name in topic_names(settings) if name not in present]
    if missing:
        raise Misfit(
            f"Kafka has no topic {' and no topic '.join(missing)}: run `journey-progress topics create`, "
            f"or set {PREFIX}CREATE_TOPICS=true"
        )


async def group_lag(settings: Settings) -> Mapping[str, int]:
    """Return for each partition (`topic-number`) how many records the group has not committed yet."""
    async with _admin(settings) as admin:
        committed = await admin.list_consumer_group_offsets(settings.consumer_group)
    consumer = AIOKafkaConsumer(**connection(settings), enable_auto_commit=False)
    try:
        with translated():
            await consumer.start()
            await consumer.topics()
            numbers = consumer.partitions_for_topic(settings.statements_topic) or ()
            partitions = [TopicPartition(settings.statements_topic, number) for number in sorted(numbers)]
            begins = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
    finally:
        await consumer.stop()
    lags = {}
    for partition in partitions:
        known = committed.get(partition)
        start = known.offset if known and known.offset >= 0 else begins[partition]
        lags[f"{partition.topic}-{partition.partition}"] = max(ends[partition] - start, 0)
    return lags


def _new_topic(name: str, settings: Settings, config: Mapping[str, str]) -> NewTopic:
    # aiokafka takes -1 ("the broker's own default") only together with an explicit assignment; an empty one means none.
    assignments: dict[int, list[int]] | None = {} if settings.topic_replication == -1 else None
    return NewTopic(name, settings.topic_partitions, settings.topic_replication, assignments, config)


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**connection(settings))
    try:
        with translated():
            await admin.start()
            yield admin
    except (kafka.InvalidTopicError, kafka.InvalidReplicationFactorError, kafka.InvalidPartitionsError) as error:
        raise Misfit(f"Kafka cannot make the topics: {error}") from None
    except OSError as error:
        raise BrokerUnavailable(f"Kafka: {error}") from error
    finally:
        await admin.close()
