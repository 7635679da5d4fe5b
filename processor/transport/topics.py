"""The three topics: made, checked, and how far the group is behind."""

from collections.abc import Mapping

from aiokafka import TopicPartition
from aiokafka import errors as kafka
from aiokafka.admin import NewTopic
from aiokafka.structs import OffsetAndMetadata
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from processor.errors import Misfit
from processor.settings import PREFIX, Settings
from processor.transport.admin import open_admin
from processor.transport.connect import is_passing, translated
from processor.transport.producer import ENVELOPE
from processor.transport.reading import spans_of

COORDINATOR_TIMEOUT = 10.0
"""Seconds that a cluster is given to find who coordinates a group."""

DONE = (kafka.NoError.errno, kafka.TopicAlreadyExistsError.errno)
GONE = (kafka.NoError.errno, kafka.UnknownTopicOrPartitionError.errno)


def topic_names(settings: Settings) -> tuple[str, str, str]:
    """Return the statements, progress and dead-letter topic."""
    return settings.statements_topic, settings.progress_topic, settings.dead_letters_topic


async def create_topics(settings: Settings) -> Mapping[str, bool]:
    """Create the topics that are missing; return for each whether it was made now. Repeating is harmless.

    Dead letters are kept for ever and may be a little larger than what they carry. Raises `Misfit` when the broker
    will not have them so, or `BrokerUnavailable`.
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
    async with open_admin(settings) as admin:
        present = set(await admin.list_topics())
        missing = [_new_topic(name, settings, config) for name, config in configs.items() if name not in present]
        response = await admin.create_topics(missing) if missing else None
    for name, code, *message in response.topic_errors if response else ():
        if code not in DONE:
            _refuse(name, kafka.for_code(code)(*filter(None, message)))
    return {name: name not in present for name in topic_names(settings)}


async def check_topics(settings: Settings) -> None:
    """Raise `Misfit` naming the topics that are missing, and the remedy; or `BrokerUnavailable`.

    Brokers do not tell of those that a user may not describe.
    """
    async with open_admin(settings) as admin:
        present = set(await admin.list_topics())
    missing = [name for name in topic_names(settings) if name not in present]
    if missing:
        raise Misfit(
            f"Kafka has no topic {' and no topic '.join(missing)}, or this user may not describe it: run "
            f"`journey-progress topics create`, set {PREFIX}CREATE_TOPICS=true, or grant Describe on it"
        )


async def present_topics(settings: Settings) -> frozenset[str]:
    """Return every topic of the cluster. Raises `BrokerUnavailable` or `Misfit`."""
    async with open_admin(settings) as admin:
        return frozenset(await admin.list_topics())


async def delete_topics(settings: Settings) -> None:
    """Delete the three topics, with everything in them, as far as they are there.

    Raises `Misfit` or `BrokerUnavailable`, or aiokafka's error, when the broker keeps one.
    """
    async with open_admin(settings) as admin:
        present = set(await admin.list_topics())
        if doomed := [name for name in topic_names(settings) if name in present]:
            response = await admin.delete_topics(doomed)
            for name, code in response.topic_error_codes:
                if code not in GONE:
                    raise kafka.for_code(code)(f"topic {name} is not deleted")


async def group_lag(settings: Settings) -> Mapping[str, int]:
    """Return for each partition (`topic-number`) how many records the group has not committed yet, without joining it.

    Where it has not committed anything, everything counts.
    """
    committed = await committed_offsets(settings)
    lags = {}
    for partition, span in (await spans_of(settings, settings.statements_topic)).items():
        known = committed.get(partition)
        reached = max(known.offset, span.begin) if known else span.begin
        lags[f"{partition.topic}-{partition.partition}"] = max(span.end - reached, 0)
    return lags


async def committed_offsets(settings: Settings) -> Mapping[TopicPartition, OffsetAndMetadata]:
    """Return what the group has committed. Raises `BrokerUnavailable` or `Misfit`.

    On a cluster that never had a group, asking makes it ready for groups in a moment.
    """
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(kafka.GroupCoordinatorNotAvailableError),
        wait=wait_fixed(0.2),
        stop=stop_after_delay(COORDINATOR_TIMEOUT),
        reraise=True,
    )
    offsets: Mapping[TopicPartition, OffsetAndMetadata] = {}
    async with open_admin(settings) as admin:
        async for attempt in retrying:
            with attempt:
                offsets = await admin.list_consumer_group_offsets(settings.consumer_group)
    return offsets


def _new_topic(name: str, settings: Settings, config: Mapping[str, str]) -> NewTopic:
    # aiokafka takes -1 (the broker's own default) only together with an assignment of replicas; {} assigns none.
    assignments: dict[int, list[int]] | None = {} if settings.topic_replication == -1 else None
    return NewTopic(name, settings.topic_partitions, settings.topic_replication, assignments, config)


def _refuse(name: str, error: kafka.KafkaError) -> None:
    if is_passing(error):
        with translated():
            raise error
    raise Misfit(
        f"Kafka does not make topic {name}: {error}; check {PREFIX}TOPIC_PARTITIONS, {PREFIX}TOPIC_REPLICATION, "
        f"{PREFIX}KAFKA_MAX_MESSAGE_BYTES and our right to create topics"
    )
