"""A member's consumer, where its group begins, and that it goes on to partitions which are added."""

import asyncio

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka import errors as kafka

from processor.errors import BrokerUnavailable
from processor.settings import Settings
from processor.transport.connect import REQUEST_TIMEOUT, connection, stop_within, translated
from processor.transport.reading import spans_of
from processor.transport.topics import committed_offsets

METADATA_AGE = 15.0
"""Seconds after which a member looks for partitions that were added, or for a topic too new to be known before."""


def group_consumer(settings: Settings) -> AIOKafkaConsumer:
    """Return a member's consumer, not started yet."""
    join_timeout = max(REQUEST_TIMEOUT, settings.rebalance_timeout + 5)
    return AIOKafkaConsumer(
        **connection(settings) | {"request_timeout_ms": int(join_timeout * 1000)},
        group_id=settings.consumer_group,
        group_instance_id=settings.group_instance_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",  # see `begin_at_the_ends`
        isolation_level="read_committed",
        check_crcs=True,
        session_timeout_ms=int(settings.session_timeout * 1000),
        heartbeat_interval_ms=int(settings.session_timeout * 1000 / 10),
        rebalance_timeout_ms=int(settings.rebalance_timeout * 1000),
        max_poll_interval_ms=int(settings.max_poll_interval * 1000),
        # aiokafka's default, or the largest record there may be.
        max_partition_fetch_bytes=max(settings.kafka_max_message_bytes, 1_048_576),
        fetch_max_wait_ms=100,
        metadata_max_age_ms=int(METADATA_AGE * 1000),
    )


async def begin_at_the_ends(settings: Settings) -> None:
    """Let a group that has committed nothing in the statements topic begin at its present ends; else do nothing.

    aiokafka's own `latest` is no beginning: it also passes over what comes into a partition that is added later, or
    was idle until its member restarted, and over all that is left where retention was faster than we.
    Raises `Misfit` or `BrokerUnavailable`, also while the group has members and no commit: it takes none of ours then.
    """
    if await _has_begun(settings):
        return
    spans = await spans_of(settings, settings.statements_topic)
    ends = {partition: span.end for partition, span in spans.items()}
    if not ends:
        return
    consumer = AIOKafkaConsumer(**connection(settings), group_id=settings.consumer_group, enable_auto_commit=False)
    try:
        with translated():
            async with asyncio.timeout(REQUEST_TIMEOUT):  # aiokafka would try to commit for ever
                await consumer.start()
                consumer.assign(list(ends))
                await consumer.commit(ends)
    except kafka.CommitFailedError:
        if not await _has_begun(settings):
            raise BrokerUnavailable("Kafka: the group has members, and none of them has committed anything") from None
        structlog.get_logger(__name__).info("others of the group have begun already")
    finally:
        await stop_within(consumer.stop(), "beginning")


async def _has_begun(settings: Settings) -> bool:
    """Tell whether the group has committed anything in the statements topic."""
    return any(partition.topic == settings.statements_topic for partition in await committed_offsets(settings))


class Growth:
    """Looks after partitions that are added, for a static member.

    Only the group's leader divides them anew when it joins once more, and a leader that came back is not told that it
    is the leader. So each member joins again: for the others that changes nothing.
    """

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.statements_topic
        self._is_static = settings.group_instance_id is not None
        self._known = 0

    def look(self, consumer: AIOKafkaConsumer) -> None:
        """Ask for another join when there are more partitions than there were at the last look."""
        if not self._is_static:
            return
        present = len(consumer.partitions_for_topic(self._topic) or ())
        if 0 < self._known < present:
            structlog.get_logger(__name__).info("partitions were added", partitions=present)
            consumer._coordinator.request_rejoin()  # noqa: SLF001
        self._known = max(self._known, present)
